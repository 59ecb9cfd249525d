"""A real server with another recogniser than Jasper."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
from support.places import EXAMPLES

from convai.backends.management.launcher import Server
from convai.backends.management.processes import stubs_of
from convai.client import ConvaiClient, InvalidInput
from convai.client.requests import ask_request
from convai.client.step_by_step import StepByStep

pytestmark = [
    pytest.mark.skipif(find_spec("moonshine_voice") is None, reason="moonshine-voice is not installed"),
    pytest.mark.timeout(300),
]
NAMES = ("bees", "bread", "everest")


@pytest.fixture(scope="module")
def moonshine_server(model_repository):
    with Server(model_repository, profile="cpu-moonshine") as server:
        yield server


@pytest.fixture(scope="module")
def moonshine(moonshine_server):
    with ConvaiClient(moonshine_server.grpc_address) as client:
        yield client


def question(name):
    return soundfile.read(EXAMPLES / f"{name}.flac", dtype="float32")


def transcribe(client, name):
    audio, sample_rate = question(name)
    return client.transcribe(audio, sample_rate=sample_rate)


def test_no_process_of_jasper_is_started(moonshine_server):
    models = {stub.model for stub in stubs_of(moonshine_server.process.pid)}
    assert "moonshine" in models
    assert models.isdisjoint({"speech_features", "jasper", "ctc_decoder"})


def test_the_pipeline_answers_a_spoken_question(moonshine, example_question, example_context):
    audio, sample_rate = example_question
    answer = moonshine.ask(audio, sample_rate=sample_rate, context=example_context)
    assert answer.question == "what is he often called"
    assert answer.answer == "England's national poet"
    assert answer.answer_audio.size > 10_000


def test_a_transcript_does_not_depend_on_other_requests(moonshine):
    alone = {name: transcribe(moonshine, name) for name in NAMES}
    assert all(alone.values())
    before = moonshine.read_counters()["moonshine"].executions
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda name: transcribe(moonshine, name), NAMES * 4))
    assert together == [alone[name] for name in NAMES * 4]
    assert moonshine.read_counters()["moonshine"].executions > before


def test_word_times_are_refused_with_the_reason(moonshine):
    audio, sample_rate = question("bees")
    with pytest.raises(InvalidInput, match="words: this server's recogniser gives no word times"):
        moonshine.transcribe_words(audio, sample_rate=sample_rate)
    assert moonshine.transcribe_words(np.zeros(8_000, np.float32), sample_rate=16_000).text == ""


def test_its_steps_can_be_called_and_timed_one_by_one(moonshine):
    audio, sample_rate = question("bees")
    walk = StepByStep(moonshine).ask(audio, sample_rate=sample_rate, context="A bee.", outputs=["question"])
    assert [time.step for time in walk.times] == ["moonshine"]
    timed = moonshine.answer_timed(ask_request(audio, sample_rate, "A bee.", ["question"], None))
    assert [time.step for time in timed.steps] == ["moonshine"]
    assert timed.answer.question == walk.answer.question
