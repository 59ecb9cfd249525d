"""What arrives through a stream becomes chunks in their order, for `ask_stream` and `speak_stream`."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import tritonclient.grpc
from tritonclient.grpc import InferResult
from tritonclient.utils import InferenceServerException

from convai.client.answer import AnswerChunk
from convai.client.connection import Connection
from convai.client.errors import timed_out
from convai.client.requests import Request

# Errors come with their status, as those of other calls do; without it, Triton sends a text alone.
HEADERS = {"triton_grpc_error": "true"}
MAX_WAITING_RESPONSES = 16  # a caller who takes none makes the stream wait


class InOrder:
    """Puts the responses to one request into order; the last may arrive before those that precede it."""

    def __init__(self, request: Request):
        self.request = request
        self.waiting: dict[int, AnswerChunk] = {}  # by index
        self.num_given = 0
        self.is_complete = False

    def take(self, result: InferResult) -> Iterator[AnswerChunk]:
        """The chunks whose turn has come with this response."""
        chunk = AnswerChunk.from_tensors(self.request.read(result))
        self.waiting[chunk.chunk_index] = chunk
        while self.num_given in self.waiting:
            chunk = self.waiting.pop(self.num_given)
            self.num_given += 1
            self.is_complete = chunk.is_last
            yield chunk


class Responses:
    """Hands what arrives in tritonclient's thread to the thread that waits for it."""

    def __init__(self):
        self.arrived: queue.Queue[tuple[InferResult | None, InferenceServerException | None]] = queue.Queue()
        self.room = threading.Semaphore(MAX_WAITING_RESPONSES)
        self.is_let_go = False

    def put(self, result: InferResult | None, error: InferenceServerException | None) -> None:
        if not self.is_let_go:
            self.room.acquire()
        self.arrived.put((result, error))

    def get(self, connection: Connection) -> InferResult:
        """The next response; raises its error, or TimedOut."""
        try:
            result, error = self.arrived.get(timeout=connection.timeout_seconds)
        except queue.Empty:
            raise timed_out(connection.target, connection.timeout_seconds) from None
        self.room.release()
        if error is not None:
            raise error
        assert result is not None
        return result

    def let_go(self) -> None:
        """Nothing is taken any more, and tritonclient's thread shall not wait for it."""
        self.is_let_go = True
        self.room.release()


class StreamingClients:
    """tritonclient's clients for streams, each of which carries one at a time; idle ones are kept."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.idle: list[Any] = []  # threads may share it: its methods are atomic

    def chunks(self, request: Request) -> Generator[AnswerChunk]:
        """Send the request and yield what it brings; to close the generator cancels what has not begun."""
        order, responses = InOrder(request), Responses()
        with self.connection.explained(), self._stream(responses, order) as client:
            client.async_stream_infer(**request.arguments())
            while not order.is_complete:
                yield from order.take(responses.get(self.connection))

    @contextmanager
    def _stream(self, responses: Responses, order: InOrder) -> Generator[Any]:
        client = self.idle.pop() if self.idle else tritonclient.grpc.InferenceServerClient(**self.connection.options())
        client.start_stream(responses.put, headers=HEADERS)
        try:
            yield client
        finally:
            responses.let_go()
            # Nothing more will be asked; a thread of gRPC would wait for it for ever, once the stream is cancelled.
            client._stream._request_queue.put(None)  # pyright: ignore
            client.stop_stream(cancel_requests=not order.is_complete)
            self.idle.append(client)

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()
