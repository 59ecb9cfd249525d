import re
from dataclasses import fields

import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving
from support.places import ROOT

from convai.client import Answer, AsyncConvaiClient, ConvaiClient, InvalidInput, Transcription, Word
from convai.client.answer import READERS
from convai.client.requests import answer_text_request, ask_request, speak_request, to_pcm
from convai.description.pipeline import ENSEMBLES
from convai.errors import InvalidArgument

SPOKEN = {"answer_audio": np.ones((1, 3_000_000), np.float32), "mel": np.zeros((1, 80, 4), np.float32)}
SILENCE = np.zeros(1_600, np.float32)


def ask(audio=SILENCE, **changes):
    return ask_request(audio, **({"sample_rate": 16_000, "context": "Ada wrote it."} | changes))


@pytest.mark.parametrize(
    ("audio", "samples"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([0.25, -2.0], np.float32), [0.25, -2.0]),
        (np.array([0.25, -2.0], np.float64), [0.25, -2.0]),
        (np.arange(6, dtype=np.float32)[::2], [0, 2, 4]),
    ],
)
def test_int16_is_scaled_and_floats_keep_their_scale(audio, samples):
    pcm = to_pcm(audio)
    assert pcm.dtype == np.float32 and pcm.flags.c_contiguous
    np.testing.assert_array_equal(pcm, samples)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio": np.zeros((1_600, 2), np.float32)}, r"got shape \(1600, 2\).*mean\(axis=1\)"),
        ({"audio": np.zeros(1_600, np.int32)}, "audio: expected float32 .* or int16, got int32"),
        ({"audio": np.zeros(1_600, np.complex64)}, "got complex64"),
        ({"sample_rate": 2**31}, "sample_rate: expected a whole number"),
        ({"sample_rate": 16_000.5}, "sample_rate: .* got 16000.5"),
        ({"sample_rate": "16000"}, "sample_rate: .* got '16000'"),
        ({"outputs": ["question", "picture"]}, "one or more of question, answer, answer_score, answer_span, answer_a"),
        ({"outputs": []}, "outputs: expected one or more"),
        ({"seed": -1}, "seed: expected a whole number from 0 to 9223372036854775807, got -1"),
        ({"seed": 2**63}, "seed: expected"),
        ({"seed": 1.5}, "seed: .* got 1.5"),
        ({"context": b"Ada"}, "context: expected str, got bytes"),
        ({"context": "who \ud800"}, "context: not valid Unicode: .* at character 4"),
        ({"context": "x" * 32_769}, "context: expected at most 32768 bytes of UTF-8, got 32769"),
    ],
)
def test_an_invalid_argument_is_rejected_before_anything_is_sent(changes, message):
    with pytest.raises(InvalidInput, match=message):
        ask(**changes)


def test_requests_carry_the_tensors_their_ensemble_takes():
    requests = {
        "convai_ensemble": ask(),
        "question_answering": answer_text_request("who", "Ada"),
        "text_to_speech": speak_request("Ada"),
        "convai_ensemble_stream": ask(stream=True),
        "text_to_speech_stream": speak_request("Ada", stream=True),
    }
    for ensemble in ENSEMBLES:
        if ensemble.name in requests:
            assert requests[ensemble.name].model == ensemble.name
            assert tuple(requests[ensemble.name].inputs) == ensemble.inputs
            assert requests[ensemble.name].outputs == ensemble.outputs


@pytest.mark.parametrize("stream", [False, True])
def test_a_speed_other_than_1_is_a_parameter_beside_the_seed(stream):
    assert speak_request("Ada", seed=7, stream=stream, speed=2).parameters == {"seed": 7, "speed": 2.0}
    assert speak_request("Ada", stream=stream, speed=1.0).parameters == {}
    for speed in (0.49, 2.01, np.nan, "1"):
        with pytest.raises(InvalidInput, match="speed: expected a number from 0.5 to 2, got"):
            speak_request("Ada", stream=stream, speed=speed)


async def test_both_clients_send_the_seed_and_receive_more_than_grpcs_usual_4_megabytes():
    fake = FakeTriton(SPOKEN)
    with serving(fake) as address:
        with ConvaiClient(address) as client:
            answers = [client.speak("Ada"), client.speak("Ada", seed=2**40)]
        async with AsyncConvaiClient(address) as client:
            answers.append(await client.speak("Ada", seed=7))
    assert {answer.answer_audio.shape for answer in answers} == {(3_000_000,)}
    seeds = [request.parameters["seed"].int64_param if request.parameters else None for request in fake.requests]
    assert seeds == [None, 2**40, 7]


def test_fields_that_were_not_requested_are_none():
    question = np.array([["zoë’s café".encode()]], np.object_)
    span = np.array([[-1, -1]], np.int32)
    with serving(FakeTriton({"question": question, "answer_span": span})) as address, ConvaiClient(address) as client:
        answer = client.ask(np.zeros(1_600), sample_rate=16_000, context="x", outputs=["question", "answer_span"])
    assert answer.question == "zoë’s café"
    assert answer.answer_span == (-1, -1)
    assert answer.answer is answer.answer_score is answer.answer_audio is answer.mel is None
    assert answer.sample_rate == 22_050


def timed_transcript(question, *words):
    """The response of `speech_to_text`, with a word that lasts from 0.5 to 1 s, from 1.5 to 2 s, and so on."""
    return {
        "question": np.array([[question]], np.object_),
        "words": np.array([words], np.object_).reshape(1, -1),
        "word_times": np.array(
            [(n + 0.5, n + 1) if word else (0, 0) for n, word in enumerate(words)], np.float32
        ).reshape(1, -1, 2),
    }


async def test_words_have_times_and_the_padding_of_a_batch_is_dropped():
    fake = FakeTriton(timed_transcript("zoë is".encode(), "zoë".encode(), b"is", b"", b""))
    with serving(fake) as address:
        with ConvaiClient(address) as client:
            transcription = client.transcribe_words(SILENCE, sample_rate=16_000)
            assert client.transcribe(SILENCE, sample_rate=16_000) == "zoë is"
        async with AsyncConvaiClient(address) as client:
            assert await client.transcribe_words(SILENCE, sample_rate=16_000) == transcription
    assert transcription == Transcription("zoë is", (Word("zoë", 0.5, 1.0), Word("is", 1.5, 2.0)))
    requested = [{output.name for output in request.outputs} for request in fake.requests]
    assert requested == [{"question", "words", "word_times"}, {"question"}, {"question", "words", "word_times"}]


def test_a_recogniser_without_word_times_is_reported_unless_nothing_was_said():
    with serving(FakeTriton(timed_transcript(b"who is"))) as address, ConvaiClient(address) as client:
        with pytest.raises(InvalidInput, match="words: this server's recogniser gives no word times"):
            client.transcribe_words(SILENCE, sample_rate=16_000)
    with serving(FakeTriton(timed_transcript(b""))) as address, ConvaiClient(address) as client:
        assert client.transcribe_words(SILENCE, sample_rate=16_000) == Transcription("", ())


def test_every_field_of_an_answer_can_be_read_from_a_response():
    assert set(READERS) == {field.name for field in fields(Answer)}


@pytest.mark.parametrize(
    "options",
    [{"address": name} for name in ("localhost", "http://localhost:8001", ":8001", "localhost:grpc", "host:70000")]
    + [{"timeout_seconds": seconds} for seconds in (0, -1, float("nan"))],
)
def test_an_invalid_address_or_timeout_is_rejected(options):
    with pytest.raises(InvalidArgument, match=f"{next(iter(options))}: expected"):
        ConvaiClient(**options)


def modules_below(module):
    """The modules of the client that `module` imports, directly or not."""
    found, waiting = set(), {module}
    while waiting:
        text = (ROOT / "convai" / "client" / f"{waiting.pop()}.py").read_text()
        waiting |= set(re.findall(r"^ *from convai\.client\.(\w+) import", text, re.MULTILINE)) - found
        found |= waiting
    return found


@pytest.mark.parametrize(
    ("module", "other"), [("async_client", "client"), ("client", "async_client"), ("listen", "async_client")]
)
def test_the_blocking_and_the_asynchronous_client_share_only_what_lies_below_both(module, other):
    assert "base" in modules_below("client") & modules_below("async_client")
    assert other not in modules_below(module)
