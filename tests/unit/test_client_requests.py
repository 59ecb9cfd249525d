import subprocess
import sys

import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from convai.client import AsyncConvaiClient, ConvaiClient, InvalidInput
from convai.client.requests import (
    answer_text_request,
    ask_request,
    ask_stream_request,
    pcm,
    speak_request,
    speak_stream_request,
)
from convai.description.pipeline import ENSEMBLES

SPOKEN = {"answer_audio": np.ones((1, 3_000_000), np.float32), "mel": np.zeros((1, 80, 4), np.float32)}
SILENCE = np.zeros(1_600, np.float32)


def ask(audio=SILENCE, **changes):
    return ask_request(audio, **({"sample_rate": 16_000, "context": "Ada wrote it."} | changes))


def test_int16_is_scaled_to_full_scale_one():
    np.testing.assert_array_equal(pcm(np.array([-32768, 0, 16384], np.int16)), np.array([-1, 0, 0.5], np.float32))


def test_floats_keep_their_scale():
    for dtype in (np.float32, np.float64):
        samples = pcm(np.array([0.25, -2.0], dtype))
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, [0.25, -2.0])


def test_every_second_sample_of_an_array_is_sent_as_it_reads():
    np.testing.assert_array_equal(pcm(np.arange(6, dtype=np.float32)[::2]), [0, 2, 4])


def test_stereo_is_refused_with_the_way_to_make_it_mono():
    with pytest.raises(InvalidInput, match=r"\(1600, 2\).*mean\(axis=1\)"):
        ask(np.zeros((1_600, 2), np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.complex64])
def test_other_sample_types_are_refused_with_those_allowed(dtype):
    with pytest.raises(InvalidInput, match=f"{np.dtype(dtype)}.*float32.*int16"):
        ask(np.zeros(1_600, dtype))


@pytest.mark.parametrize("rate", [2**31, 16_000.5, "16000", None])
def test_a_sample_rate_that_is_no_whole_number_is_refused(rate):
    with pytest.raises(InvalidInput, match="sample_rate"):
        ask(sample_rate=rate)


def test_outputs_not_offered_are_refused_with_those_that_are():
    with pytest.raises(InvalidInput, match="question, answer, answer_score, answer_span, answer_audio, mel"):
        ask(outputs=["question", "picture"])
    with pytest.raises(InvalidInput, match="one or more"):
        ask(outputs=[])


def test_a_single_output_may_be_named_without_a_list():
    assert ask(outputs="question").outputs == ("question",)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "7"])
def test_a_seed_that_the_server_would_refuse_is_refused_at_once(seed):
    with pytest.raises(InvalidInput, match="seed is .*; allowed is a whole number from 0 to 9223372036854775807"):
        speak_request("Ada", seed)


def test_text_that_is_no_text_is_refused():
    with pytest.raises(InvalidInput, match="context is of type bytes"):
        ask(context=b"Ada")
    with pytest.raises(InvalidInput, match="question has no UTF-8 form"):
        answer_text_request("who \ud800", "Ada")


def test_requests_carry_the_tensors_their_ensemble_takes():
    requests = {
        "convai_ensemble": ask(),
        "question_answering": answer_text_request("who", "Ada"),
        "text_to_speech": speak_request("Ada"),
        "convai_ensemble_stream": ask_stream_request(SILENCE, 16_000, "Ada"),
        "text_to_speech_stream": speak_stream_request("Ada"),
    }
    for ensemble in ENSEMBLES:
        if ensemble.name in requests:
            assert requests[ensemble.name].model == ensemble.name
            assert tuple(requests[ensemble.name].inputs) == ensemble.inputs
            assert requests[ensemble.name].outputs == ensemble.outputs


async def test_a_seed_travels_as_a_request_parameter_of_both_clients():
    fake = FakeTriton(SPOKEN)
    with serving(fake) as address:
        with ConvaiClient(address) as client:
            client.speak("Ada")
            client.speak("Ada", seed=2**40)
        async with AsyncConvaiClient(address) as client:
            await client.speak("Ada", seed=7)
    seeds = [request.parameters["seed"].int64_param if request.parameters else None for request in fake.requests]
    assert seeds == [None, 2**40, 7]


async def test_answers_above_grpcs_usual_4_megabytes_arrive():
    with serving(FakeTriton(SPOKEN)) as address:
        with ConvaiClient(address) as client:
            assert client.speak("Ada").answer_audio.shape == (3_000_000,)
        async with AsyncConvaiClient(address) as client:
            assert (await client.speak("Ada")).answer_audio.shape == (3_000_000,)


def test_fields_that_were_not_requested_are_none():
    question = np.array([["zoë’s café".encode()]], np.object_)
    span = np.array([[-1, -1]], np.int32)
    with serving(FakeTriton({"question": question, "answer_span": span})) as address, ConvaiClient(address) as client:
        answer = client.ask(np.zeros(1_600), sample_rate=16_000, context="x", outputs=["question", "answer_span"])
    assert answer.question == "zoë’s café"
    assert answer.answer_span == (-1, -1)
    assert answer.answer is answer.answer_score is answer.answer_audio is answer.mel is None
    assert answer.sample_rate == 22_050


@pytest.mark.parametrize("address", ["localhost", "http://localhost:8001", ":8001", "localhost:grpc", "host:70000"])
def test_an_address_that_is_not_host_and_port_is_refused(address):
    with pytest.raises(ValueError, match="host:port"):
        ConvaiClient(address)


@pytest.mark.parametrize("timeout_seconds", [0, -1, float("nan")])
def test_a_timeout_must_be_above_zero(timeout_seconds):
    with pytest.raises(ValueError, match="timeout_seconds"):
        ConvaiClient(timeout_seconds=timeout_seconds)


def test_importing_the_client_loads_nothing_heavy():
    heavy = "{'torch', 'librosa', 'matplotlib', 'scipy', 'onnxruntime', 'soundfile', 'tokenizers'}"
    program = f"import sys, convai.client; print(*({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == []
