"""The streams of the blocking client: `ask_stream` and `speak_stream`."""

import queue
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import tritonclient.grpc
from tritonclient.grpc import InferResult
from tritonclient.utils import InferenceServerException

from convai.client.answer import AnswerChunk, ChunkOrder
from convai.client.connection import Connection
from convai.client.errors import timeout_error
from convai.client.requests import STREAM_HEADERS, Request

MAX_WAITING_RESPONSES = 16  # beyond these, a slow caller makes the stream wait


class Responses:
    """Passes responses from tritonclient's thread to the caller's thread."""

    def __init__(self):
        self.arrived: queue.Queue[tuple[InferResult | None, InferenceServerException | None]]
        self.arrived = queue.Queue(MAX_WAITING_RESPONSES)
        self.is_closed = False

    def put(self, result: InferResult | None, error: InferenceServerException | None) -> None:
        if not self.is_closed:
            self.arrived.put((result, error))

    def get(self, connection: Connection) -> InferResult:
        """Return the next response, or raise its error, or TimedOut."""
        try:
            result, error = self.arrived.get(timeout=connection.timeout_seconds)
        except queue.Empty:
            raise timeout_error(connection.target, connection.timeout_seconds) from None
        if error is not None:
            raise error
        assert result is not None
        return result

    def close(self) -> None:
        """Take nothing more, and free tritonclient's thread if it waits in `put`."""
        self.is_closed = True
        with suppress(queue.Empty):
            self.arrived.get_nowait()


class StreamingClients:
    """tritonclient's clients for streams. A client carries one stream at a time; idle clients are reused."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.idle: list[Any] = []  # threads may share it: its methods are atomic
        self.is_closed = False

    def chunks(self, request: Request) -> Generator[AnswerChunk]:
        """Send the request and yield its chunks in order; closing the generator cancels the rest."""
        order, responses = ChunkOrder(), Responses()
        with self.connection.translate_errors(), self._open_stream(responses, order) as client:
            with suppress(InferenceServerException):  # the stream has broken already; `get` raises the reason
                client.async_stream_infer(**request.arguments())
            while not order.is_complete:
                tensors = request.read(responses.get(self.connection))
                yield from order.take(AnswerChunk.from_tensors(tensors))

    @contextmanager
    def _open_stream(self, responses: Responses, order: ChunkOrder) -> Generator[Any]:
        client = self.idle.pop() if self.idle else tritonclient.grpc.InferenceServerClient(**self.connection.options())
        client.start_stream(responses.put, headers=STREAM_HEADERS)
        try:
            yield client
        finally:
            responses.close()
            # tritonclient has no public way to end the requests of a stream that it cancels; without this None, one of
            # gRPC's threads waits for the next request for ever.
            client._stream._request_queue.put(None)  # pyright: ignore
            client.stop_stream(cancel_requests=not order.is_complete)
            self.idle.append(client)
            if self.is_closed:  # a stream that outlives the client takes its connection with it
                self.close()

    def close(self) -> None:
        self.is_closed = True
        while self.idle:
            self.idle.pop().close()
