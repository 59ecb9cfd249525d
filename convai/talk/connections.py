"""HTTP connections that bring no request, or do not read their response: uvicorn would keep them for ever."""

from asyncio import BaseTransport, TimerHandle
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 30.0
READ_SECONDS = 60.0
MAX_WAITING = 256  # connections; each takes one of the process's file descriptors, of which there are often 1,024


class HttpProtocol(H11Protocol):
    """Closes a connection that has not sent the whole header of its next request after 30 s.

    Of too many such connections it closes the one that has been waited for longest. It also closes one that has read
    nothing of its response for a minute, because its request keeps its slot so long.
    """

    waiting: ClassVar[dict["HttpProtocol", TimerHandle]] = {}
    reading: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # pyright: ignore[reportArgumentType]
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # After a response, what comes is the rest of a refused body, or the next request.
        has_request = self.cycle is not None and not self.cycle.response_complete
        if has_request or self.transport.get_protocol() is not self:  # a WebSocket has another protocol
            self._stop_waiting()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._note_reading()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.reading = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._note_reading()

    def _note_reading(self) -> None:
        if self.reading is not None:
            self.reading.cancel()

    def _await_request(self) -> None:
        if self in self.waiting or self.transport.is_closing():
            return
        if len(self.waiting) >= MAX_WAITING:
            next(iter(self.waiting))._close()
        self.waiting[self] = self.loop.call_later(REQUEST_SECONDS, self._close)

    def _stop_waiting(self) -> None:
        timer: Any = self.waiting.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _close(self) -> None:
        self._stop_waiting()
        self.transport.abort()
