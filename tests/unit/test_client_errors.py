import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from convai.client import (
    AsyncConvaiClient,
    ConvaiClient,
    ConvaiError,
    InvalidInput,
    Overloaded,
    ServerError,
    ServerUnreachable,
    TimedOut,
)

AUDIO = np.zeros(1_600, np.float32)
NOBODY = "127.0.0.1:1"
FAILURES = [
    (grpc.StatusCode.INVALID_ARGUMENT, "in ensemble 'speech_to_text', speech_features: too short", InvalidInput),
    (grpc.StatusCode.UNAVAILABLE, "[request id: <id_unknown>] Exceeds maximum queue size", Overloaded),
    (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", Overloaded),
    (grpc.StatusCode.INTERNAL, "in ensemble 'chain', mel_padder: internal error (ValueError)", ServerError),
    (grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'speech_to_text' is not found", ServerError),
]


@pytest.mark.parametrize(("status", "details", "error"), FAILURES)
async def test_each_failure_of_the_server_has_an_error_that_says_what_to_do(status, details, error):
    with serving(FakeTriton(error=(status, details))) as address:
        with ConvaiClient(address) as client, pytest.raises(error) as caught:
            client.transcribe(AUDIO, sample_rate=16_000)
        async with AsyncConvaiClient(address) as client:
            with pytest.raises(error) as caught_in_async:
                await client.transcribe(AUDIO, sample_rate=16_000)
    assert str(caught.value) == str(caught_in_async.value)
    assert caught.value.__cause__.message() == details
    assert isinstance(caught.value, ConvaiError)


async def test_a_missing_server_is_not_a_busy_one():
    with ConvaiClient(NOBODY) as client, pytest.raises(ServerUnreachable, match=f"{NOBODY}.*convai serve"):
        client.speak("hello")
    async with AsyncConvaiClient(NOBODY) as client:
        with pytest.raises(ServerUnreachable, match=NOBODY):
            await client.speak("hello")


async def test_a_slow_server_times_out():
    with serving(FakeTriton(delay_seconds=1.0)) as address:
        with ConvaiClient(address, timeout_seconds=0.1) as client, pytest.raises(TimedOut, match="0.1 s"):
            client.speak("hello")
        async with AsyncConvaiClient(address, timeout_seconds=0.1) as client:
            with pytest.raises(TimedOut, match="0.1 s"):
                await client.speak("hello")


def test_errors_are_also_what_python_would_raise():
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(TimedOut, TimeoutError)
    assert issubclass(ServerUnreachable, ConnectionError)
