"""HTTP connections that bring no request: uvicorn would keep them for ever."""

from asyncio import BaseTransport, TimerHandle
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 30.0
MAX_WAITING = 256  # connections; each takes one of the process's file descriptors, of which there are often 1,024


class HttpProtocol(H11Protocol):
    """Closes a connection that has not sent the whole header of its next request after 30 s.

    Of too many such connections it closes the one that has been waited for longest.
    """

    waiting: ClassVar[dict["HttpProtocol", TimerHandle]] = {}

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
        super().connection_lost(exc)

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
