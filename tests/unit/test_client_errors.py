import inspect

import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving
from tritonclient.grpc import InferenceServerClient

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
from convai.client.requests import speak_request

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


REQUEST = speak_request("hello")
CALLS = {
    "answer": lambda client: client.answer(REQUEST),
    "answer_text": lambda client: client.answer_text("who", "Ada"),
    "answer_timed": lambda client: client.answer_timed(REQUEST),
    "ask": lambda client: client.ask(AUDIO, sample_rate=16_000, context="Ada"),
    "ask_stream": lambda client: client.ask_stream(AUDIO, sample_rate=16_000, context="Ada"),
    "chunks": lambda client: client.chunks(speak_request("hello", stream=True)),
    "infer": lambda client: client.infer(REQUEST),
    "read_counters": lambda client: client.read_counters(),
    "speak": lambda client: client.speak("hello"),
    "speak_stream": lambda client: client.speak_stream("hello"),
    "times_since": lambda client: client.times_since({}, REQUEST),
    "transcribe": lambda client: client.transcribe(AUDIO, sample_rate=16_000),
    "transcribe_words": lambda client: client.transcribe_words(AUDIO, sample_rate=16_000),
    "wait_for_counters": lambda client: client.wait_for_counters({}, []),
}
NO_CALLS = {"close", "listen"}  # `listen` passes errors on as events


async def await_result(called):
    if inspect.isasyncgen(called):
        return [each async for each in called]
    return await called if inspect.isawaitable(called) else list(called)


@pytest.mark.parametrize("kind", [ConvaiClient, AsyncConvaiClient])
async def test_without_a_server_every_call_says_so(kind):
    names = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))} - NO_CALLS
    assert names <= set(CALLS)
    client = kind(NOBODY)
    for name in names:
        with pytest.raises(ServerUnreachable, match=f"{NOBODY}.*convai serve"):
            await await_result(CALLS[name](client))
    await await_result(client.close() or [])


def test_a_stream_that_breaks_before_its_request_is_sent_says_why(monkeypatch):
    """tritonclient then says only that the stream is no longer valid."""
    start_stream = InferenceServerClient.start_stream

    def start_and_wait(self, *arguments, **options):
        start_stream(self, *arguments, **options)
        self._stream._handler.join(5)

    monkeypatch.setattr(InferenceServerClient, "start_stream", start_and_wait)
    with ConvaiClient(NOBODY) as client, pytest.raises(ServerUnreachable):
        next(client.speak_stream("hello"))


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
