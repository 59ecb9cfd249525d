"""Order, end and errors of a stream at the client, from a fake server."""

import threading
from contextlib import aclosing

import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from convai.client import AsyncConvaiClient, ConvaiClient, InvalidInput, Overloaded, ServerError, TimedOut

QUESTION = np.zeros(16_000, np.float32)


def response(index, is_last=False):
    """Only the first has question, answer, score and span."""
    question, answer, score, span = (b"", b"", 0, (-1, -1)) if index else (b"who", "Zoë".encode(), 0.5, (3, 6))
    return {
        "chunk_index": np.array([[index]], np.int32),
        "is_last": np.array([[is_last]]),
        "answer_audio": np.full((1, 10), index, np.float32),
        "question": np.array([[question]], np.object_),
        "answer": np.array([[answer]], np.object_),
        "answer_score": np.array([[score]], np.float32),
        "answer_span": np.array([span], np.int32),
    }


async def sync_chunks(address, timeout_seconds):
    with ConvaiClient(address, timeout_seconds=timeout_seconds) as client:
        for chunk in client.ask_stream(QUESTION, sample_rate=16_000, context="Zoë"):
            yield chunk


async def async_chunks(address, timeout_seconds):
    async with AsyncConvaiClient(address, timeout_seconds=timeout_seconds) as client:
        async for chunk in client.ask_stream(QUESTION, sample_rate=16_000, context="Zoë"):
            yield chunk


@pytest.fixture(params=[sync_chunks, async_chunks], ids=["sync", "async"])
def chunks_of(request):
    """The chunks that a client gets from a fake server, and the error they ended with."""

    async def chunks_of(fake, timeout_seconds=10.0):
        chunks = []
        with serving(fake) as address:
            try:
                async for chunk in request.param(address, timeout_seconds):
                    chunks.append(chunk)
            except OSError as error:
                return chunks, error
        return chunks, None

    return chunks_of


async def test_chunks_come_in_order_and_the_first_has_question_and_answer(chunks_of):
    responses = [response(index, index == 4) for index in (1, 0, 4, 2, 3)]
    chunks, error = await chunks_of(FakeTriton(streamed=responses))
    assert [(chunk.chunk_index, chunk.answer_audio[0]) for chunk in chunks] == [(index, index) for index in range(5)]
    assert [chunk.is_last for chunk in chunks] == [False] * 4 + [True]
    found = [(chunk.question, chunk.answer, chunk.answer_score, chunk.answer_span) for chunk in chunks]
    assert found == [("who", "Zoë", 0.5, (3, 6)), *[(None,) * 4] * 4]
    assert error is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidInput),
        (grpc.StatusCode.UNAVAILABLE, Overloaded),
        (grpc.StatusCode.INTERNAL, ServerError),
    ],
)
async def test_an_error_in_mid_stream_follows_the_chunks_before_it(chunks_of, status, kind):
    details = "in ensemble 'text_to_speech_stream', waveglow: internal error"
    chunks, error = await chunks_of(FakeTriton(streamed=[response(0), response(1)], error=(status, details)))
    assert [chunk.chunk_index for chunk in chunks] == [0, 1]
    assert type(error) is kind
    assert "waveglow: internal error" in str(error) and "in ensemble" not in str(error)


async def test_a_server_that_falls_silent_times_out(chunks_of):
    chunks, error = await chunks_of(FakeTriton(streamed=[response(0)], delay_seconds=20), timeout_seconds=0.5)
    assert len(chunks) == 1
    assert type(error) is TimedOut and "within 0.5 s" in str(error)


def test_stopping_early_cancels_the_stream_and_leaves_no_thread_behind():
    fake = FakeTriton(streamed=[response(0), response(1)], delay_seconds=20)
    with serving(fake) as address, ConvaiClient(address) as client:
        for _ in range(3):
            threads = threading.active_count()
            for chunk in client.speak_stream("Ada"):
                assert chunk.chunk_index == 0
                break
            assert fake.is_cancelled.wait(5)
            fake.is_cancelled.clear()
        assert threading.active_count() <= threads + 1


async def test_closing_an_asynchronous_stream_cancels_it():
    fake = FakeTriton(streamed=[response(0), response(1)], delay_seconds=20)
    with serving(fake) as address:
        async with AsyncConvaiClient(address) as client:
            async with aclosing(client.speak_stream("Ada")) as chunks:
                async for _ in chunks:
                    break
            assert fake.is_cancelled.wait(5)


def test_a_caller_that_takes_no_chunk_makes_the_stream_wait(monkeypatch):
    monkeypatch.setattr("convai.client.streaming.MAX_WAITING_RESPONSES", 4)
    responses = [response(index, index == 99) for index in range(100)]
    with serving(FakeTriton(streamed=responses)) as address, ConvaiClient(address) as client:
        chunks = client.speak_stream("Ada")
        assert next(chunks).chunk_index == 0
        (stream,) = [thread for thread in threading.enumerate() if "_process_response" in thread.name]
        assert stream.is_alive()
        assert [chunk.chunk_index for chunk in chunks] == list(range(1, 100))


def test_a_stream_that_outlives_its_client_leaves_no_connection():
    with serving(FakeTriton(streamed=[response(0), response(1, is_last=True)])) as address:
        with ConvaiClient(address) as client:
            chunks = client.speak_stream("Ada")
            next(chunks)
        chunks.close()
        assert client.streaming.idle == []


def test_several_streams_of_one_client_do_not_mix():
    with serving(FakeTriton(streamed=[response(0), response(1, is_last=True)])) as address:
        with ConvaiClient(address) as client:
            pairs = list(zip(client.speak_stream("Ada"), client.speak_stream("Bob"), strict=True))
            assert [(one.chunk_index, other.chunk_index) for one, other in pairs] == [(0, 0), (1, 1)]


def test_an_invalid_argument_raises_before_anything_is_sent():
    with ConvaiClient("127.0.0.1:1") as client, pytest.raises(InvalidInput, match="text: expected str, got bytes"):
        client.speak_stream(b"Ada")
