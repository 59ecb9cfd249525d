"""Bad input of each kind gets an error that names the step and what is allowed; batch neighbours get their answers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.sounds import chirp
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

CONTEXT = "Ada wrote the first program."
GOOD = {"audio": chirp(1.0), "rate": 16_000, "context": CONTEXT}

BAD = {
    "empty audio": ({"audio": chirp(0)}, "speech_features", ["0", "0.1"]),
    "too short": ({"audio": chirp(0.05)}, "speech_features", ["0.05", "0.1"]),
    "too long": ({"audio": chirp(31)}, "speech_features", ["31", "30"]),
    "NaN": (
        {"audio": np.where(np.arange(16_000) == 7, np.nan, chirp(1.0)).astype(np.float32)},
        "speech_features",
        ["NaN"],
    ),
    "infinite": ({"audio": np.full(16_000, np.inf, np.float32)}, "speech_features", ["inf"]),
    "int16 scale": ({"audio": chirp(1.0) * 32768}, "speech_features", ["32768"]),
    "low rate": ({"rate": 4_000}, "speech_features", ["4000", "8000", "48000"]),
    "high rate": ({"rate": 96_000}, "speech_features", ["96000", "48000"]),
    "negative rate": ({"rate": -1}, "speech_features", ["-1", "8000"]),
    "empty context": ({"context": ""}, "qa_tokenizer", ["context", "0 characters"]),
    "blank context": ({"context": " \n\t "}, "qa_tokenizer", ["context"]),
    "long context": ({"context": "a" * 32_769}, "qa_tokenizer", ["32769", "32768"]),
    "invalid UTF-8": ({"context": b"caf\xe9 au lait"}, "qa_tokenizer", ["UTF-8", "3"]),
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
def test_bad_input_gets_an_error_that_names_the_step_and_what_is_allowed(triton, kind):
    request, step, words = BAD[kind]
    with pytest.raises(InferenceServerException) as failure:
        infer(triton, request)
    message = failure.value.message().replace(",", "")
    assert failure.value.status() == "StatusCode.INVALID_ARGUMENT", message
    assert f"{step}: " in message
    for word in words:
        assert word in message
    assert_no_path(message)


def test_neighbours_of_bad_requests_get_their_answers(triton):
    requests = [{}, *(request for request, _, _ in BAD.values()), {}]
    with ThreadPoolExecutor(len(requests)) as pool:
        futures = [pool.submit(infer, triton, request) for request in requests]
    outcomes = [future.exception() for future in futures]
    assert outcomes[0] is None and outcomes[-1] is None
    assert all(isinstance(error, InferenceServerException) for error in outcomes[1:-1])
    good = [future.result().as_numpy("answer_audio") for future in (futures[0], futures[-1])]
    np.testing.assert_allclose(good[0], good[1], atol=1e-3)


def test_a_wrong_dtype_is_refused_with_what_was_got_and_what_is_allowed(triton):
    inputs = arguments(**GOOD)
    samples = np.zeros((1, 16_000), np.float64)
    inputs[0] = InferInput("question_audio", [1, 16_000], "FP64").set_data_from_numpy(samples)
    with pytest.raises(InferenceServerException) as failure:
        triton.infer("convai_ensemble", inputs, client_timeout=60)
    assert failure.value.status() == "StatusCode.INVALID_ARGUMENT"
    for word in ("question_audio", "FP64", "FP32"):
        assert word in failure.value.message()


STEP_REQUESTS = {
    "bert": {
        name: np.full((1, 1, 64), 1_000_000, np.int64) for name in ("input_ids", "token_type_ids", "attention_mask")
    },
    "tacotron2": {"symbol_ids": np.full((1, 32), 1_000_000, np.int64), "symbols_length": np.array([[32]], np.int32)},
    "text_encoder": {"text": np.array([["\u200b"]], np.object_)},
    "mel_padder": {"decoded_mel": np.zeros((1, 80, 9000), np.float32), "mel_length": np.array([[9000]], np.int32)},
}


@pytest.mark.parametrize("step", STEP_REQUESTS)
def test_a_step_called_alone_with_nonsense_names_itself_and_leaks_no_path(triton, step):
    types = {"float32": "FP32", "int32": "INT32", "int64": "INT64", "object": "BYTES"}
    inputs = [
        InferInput(name, list(array.shape), types[array.dtype.name]).set_data_from_numpy(array)
        for name, array in STEP_REQUESTS[step].items()
    ]
    with pytest.raises(InferenceServerException) as failure:
        triton.infer(step, inputs, client_timeout=60)
    assert f"{step}: " in failure.value.message()
    assert_no_path(failure.value.message())


def assert_no_path(message):
    for trace in ("/", ".py", "Traceback"):
        assert trace not in message, message
