"""The steps count the audio and answers that they process, and every documented metric is served."""

import os
import re
import signal
import time
import urllib.request

import numpy as np
import pytest
from support.places import ROOT
from support.sounds import chirp
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from convai.backends.management.processes import stubs_of
from convai.backends.runtime import metrics
from convai.description.recognisers import ALL_MODEL_NAMES
from convai.talk.access import ConcurrencyLimit
from convai.talk.metrics import Metrics

SECONDS = "convai_question_seconds_total"


def read_metrics(server):
    """The values of every metric's series, by name and labels as Prometheus would read them."""
    with urllib.request.urlopen(server.metrics_url, timeout=10) as response:
        lines = [line for line in response.read().decode().splitlines() if line and not line.startswith("#")]
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}


def counted(server, name, model):
    return read_metrics(server)[f'{name}{{model="{model}"}}']


@pytest.fixture
def risen(server):
    """Returns by how much a counter rose since the test began."""
    before = read_metrics(server)

    def rise(name, model):
        return counted(server, name, model) - before[f'{name}{{model="{model}"}}']

    return rise


@pytest.fixture(scope="module")
def triton(server):
    with InferenceServerClient(server.grpc_address) as triton:
        yield triton


def infer_rows(triton, model, **arrays):
    tensors = [InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)) for name, array in arrays.items()]
    for tensor, array in zip(tensors, arrays.values(), strict=True):
        tensor.set_data_from_numpy(array)
    return triton.infer(model, tensors, client_timeout=60)


def extract_features(triton, *clips, sample_rate=16_000):
    rates = np.full((len(clips), 1), sample_rate, np.int32)
    return infer_rows(triton, "speech_features", question_audio=np.stack(clips), sample_rate=rates)


def test_seconds_of_questions_and_answers_are_those_of_the_audio(client, risen):
    answer = client.ask(chirp(1.25, 8_000), sample_rate=8_000, context="Ada wrote the first program.")
    assert risen(SECONDS, "speech_features") == pytest.approx(1.25)
    spoken = risen("convai_answer_seconds_total", "audio_trimmer")
    assert spoken == pytest.approx(answer.answer_audio.size / 22_050)


def test_answers_and_missing_answers_are_counted_separately(client, risen):
    context = "Ada Lovelace wrote the first program."
    asked = [client.answer_text("who wrote the first program", context).answer, client.answer_text("", context).answer]
    assert asked == ["Ada Lovelace", ""]
    assert risen("convai_answers_total", "answer_extractor") == 1
    assert risen("convai_no_answers_total", "answer_extractor") == 1


def test_a_refused_request_counts_nothing_even_for_its_good_rows(triton, risen):
    with pytest.raises(InferenceServerException, match="NaN"):
        extract_features(triton, chirp(0.5), np.full(8_000, np.nan, np.float32))
    assert risen(SECONDS, "speech_features") == 0


def test_counters_continue_after_a_respawn(server, triton):
    extract_features(triton, chirp(0.5))
    before = counted(server, SECONDS, "speech_features")
    (stub,) = [stub for stub in stubs_of(server.process.pid) if stub.model == "speech_features"]
    os.kill(stub.pid, signal.SIGKILL)
    extract_again(triton, deadline=time.monotonic() + 60)
    assert counted(server, SECONDS, "speech_features") == pytest.approx(before + 0.5)


def extract_again(triton, deadline):
    while True:
        try:
            return extract_features(triton, chirp(0.5))
        except InferenceServerException:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_every_documented_metric_is_served(server, client):
    client.answer_text("who wrote it", "Ada wrote it.")
    texts = metrics.__doc__ + (ROOT / "docs/operating.md").read_text()
    explained = set(re.findall(r"\b(?:nv|convai)_[a-z_]*[a-z]", texts)) - set(ALL_MODEL_NAMES)
    assert explained
    of_the_web_process = {
        name
        for family in Metrics(ConcurrencyLimit(1)).registry.collect()
        for name in (family.name, *(sample.name for sample in family.samples))
    }
    assert explained <= of_the_web_process | {series.partition("{")[0] for series in read_metrics(server)}


def test_every_step_of_a_documented_query_exists():
    watched = re.findall(r'model=~?"([\w|]+)"', metrics.__doc__)
    assert {model for models in watched for model in models.split("|")} <= set(ALL_MODEL_NAMES)
