"""Each kind of invalid input receives an error that names the step and the rule; its batch neighbours are answered."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.sounds import chirp
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

CONTEXT = "Ada wrote the first program."
GOOD = {"audio": chirp(1.0), "rate": 16_000, "context": CONTEXT}

ONE_NAN = np.where(np.arange(16_000) == 7, np.nan, chirp(1.0)).astype(np.float32)

# By kind: what differs from GOOD, and the beginning of the message.
BAD = {
    "empty audio": ({"audio": chirp(0)}, "speech_features: question_audio: expected 0.1 to 30 s"),
    "too long": ({"audio": chirp(31)}, "speech_features: question_audio: expected 0.1 to 30 s"),
    "NaN": ({"audio": ONE_NAN}, "speech_features: question_audio: expected finite samples, got 1 NaN"),
    "int16 scale": ({"audio": chirp(1.0) * 32768}, "speech_features: question_audio: expected samples from -1 to 1"),
    "low rate": ({"rate": 4_000}, "speech_features: sample_rate: expected 8000 to 48000 Hz, got 4000"),
    "negative rate": ({"rate": -1}, "speech_features: sample_rate: expected 8000 to 48000 Hz, got -1"),
    "empty context": ({"context": ""}, "qa_tokenizer: context: expected at least one word, got none in 0 characters"),
    "long context": (
        {"context": "a" * 32_769},
        "speech_features: context: expected at most 32768 bytes of UTF-8, got 32769",
    ),
    "invalid UTF-8": ({"context": b"caf\xe9"}, "speech_features: context: expected UTF-8, got byte 0xe9 at position 3"),
}


def arguments(audio, rate, context):
    text = context if isinstance(context, bytes) else context.encode()
    arrays = {
        "question_audio": audio[np.newaxis],
        "sample_rate": np.array([[rate]], np.int32),
        "context": np.array([[text]], np.object_),
    }
    types = {"question_audio": "FP32", "sample_rate": "INT32", "context": "BYTES"}
    return [InferInput(name, list(a.shape), types[name]).set_data_from_numpy(a) for name, a in arrays.items()]


@pytest.fixture(scope="module")
def triton(server):
    with InferenceServerClient(server.grpc_address) as triton:
        yield triton


def infer(triton, request):
    return triton.infer("convai_ensemble", arguments(**(GOOD | request)), client_timeout=120)


@pytest.mark.parametrize("kind", BAD)
def test_invalid_input_receives_an_error_that_names_the_step_and_the_rule(triton, kind):
    request, message = BAD[kind]
    with pytest.raises(InferenceServerException) as failure:
        infer(triton, request)
    assert failure.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert message in failure.value.message()
    assert_no_path(failure.value.message())


def test_neighbours_of_invalid_requests_are_answered(triton):
    requests = [{}, *(request for request, _ in BAD.values()), {}]
    with ThreadPoolExecutor(len(requests)) as pool:
        futures = [pool.submit(infer, triton, request) for request in requests]
    outcomes = [future.exception() for future in futures]
    assert outcomes[0] is None and outcomes[-1] is None
    assert all(isinstance(error, InferenceServerException) for error in outcomes[1:-1])
    good = [future.result().as_numpy("answer_audio") for future in (futures[0], futures[-1])]
    np.testing.assert_allclose(good[0], good[1], atol=1e-3)


def assert_no_path(message):
    for trace in ("/", ".py", "Traceback"):
        assert trace not in message, message
