"""Admits requests to /v1: of this site, with the right key, not too large or slow, and while there is a free slot.

Who has not yet sent all that admits it, such as the rest of a body, takes no slot and waits in a `WaitingRoom`.
"""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, field

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convai.client import Overloaded
from convai.talk.errors import error_response, too_large
from convai.talk.settings import Settings

NO_KEY = "this server asks for a key; send it as `Authorization: Bearer KEY`"
WRONG_KEY = "the key is wrong; send the right one as `Authorization: Bearer KEY`"
FOREIGN = "pages of other sites may not send requests here"
MAX_WAITING = 64
# A body may begin slowly, but not go on so.
GRACE_SECONDS, BYTES_PER_SECOND = 5.0, 8000
TOO_SLOW = f"body: expected {BYTES_PER_SECOND:,} bytes a second after {GRACE_SECONDS:g} s, got fewer"
MAX_JSON_BYTES = 2**20  # JSON is kept in memory, files are not


class ConcurrencyLimit:
    """Bounds the requests served at once. A page that listens counts as one."""

    def __init__(self, max_concurrent: int):
        self.max_concurrent = max_concurrent
        self._held: set[object] = set()
        self._measure: Callable[[], AbstractContextManager[None]] = nullcontext

    def measured_by(self, measure: Callable[[], AbstractContextManager[None]]) -> "ConcurrencyLimit":
        """Return the limit with the same slots for one interface; `measure` is entered around each use."""
        limit = copy(self)
        limit._measure = measure
        return limit

    @property
    def active(self) -> int:
        return len(self._held)

    @property
    def is_reached(self) -> bool:
        return self.active >= self.max_concurrent

    @property
    def refusal(self) -> str:
        return f"{self.max_concurrent} requests are being served, which is the limit; try again in a moment"

    @contextmanager
    def hold(self) -> Generator[None]:
        """Count as one request inside the block; raise `Overloaded` if the limit is reached."""
        with self._measure():
            if self.is_reached:
                raise Overloaded(self.refusal)
            slot = object()
            self._held.add(slot)
            try:
                yield
            finally:
                self._held.remove(slot)


class WaitingRoom:
    """Bounds the callers that are waited for. If one comes too many, the one that has been waited for longest leaves.

    It is one of the address that most come from, so a flood from one address turns out nobody else.
    """

    def __init__(self, capacity: int = MAX_WAITING):
        self.capacity = capacity
        self._waiting: dict[asyncio.Timeout, str] = {}  # each with its address, in the order in which they came

    @asynccontextmanager
    async def wait(self, address: str, seconds: float) -> AsyncGenerator[None]:
        """Raise TimeoutError if the block takes longer, or has to make room for others."""
        if len(self._waiting) >= self.capacity:
            self._turn_out()
        async with asyncio.timeout(seconds) as deadline:
            self._waiting[deadline] = address
            try:
                yield
            finally:
                self._waiting.pop(deadline, None)

    def _turn_out(self) -> None:
        ((address, _),) = Counter(self._waiting.values()).most_common(1)
        oldest = next(deadline for deadline, one in self._waiting.items() if one == address)
        del self._waiting[oldest]
        if not oldest.expired():
            oldest.reschedule(asyncio.get_running_loop().time())


def is_key(candidate: str, settings: Settings) -> bool:
    # Compared in constant time, so the response time does not reveal how much of a guess is right.
    return settings.api_key is None or hmac.compare_digest(candidate.encode(), settings.api_key.encode())


def is_foreign(headers: Headers, settings: Settings) -> bool:
    """Whether a page of another site sends this. Browsers let any site send some requests, with its origin."""
    origin = headers.get("origin")
    if origin is None or origin.lower() == settings.public_origin:
        return False
    return origin.lower().rpartition("://")[2] != headers.get("host", "").lower()


def address_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


def bearer_key(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


class AuthenticationMiddleware:
    """ASGI middleware for HTTP. The page's WebSocket, which sends the key in its first message, checks it itself."""

    def __init__(self, app: ASGIApp, settings: Settings, limit: ConcurrencyLimit):
        self.app = app
        self.settings = settings
        self.limit = limit
        self.bodies = WaitingRoom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The metrics are for the owner of the key too.
        if scope["type"] != "http" or not (scope["path"].startswith("/v1/") or scope["path"] == "/metrics"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        is_form = headers.get("content-type", "").lower().startswith("multipart/")
        max_bytes = self.settings.max_upload_bytes if is_form else min(MAX_JSON_BYTES, self.settings.max_upload_bytes)
        refusal = self._refuse(scope["method"], headers, max_bytes)
        if refusal is not None:
            return await refusal(scope, receive, send)
        with ExitStack() as slot:
            body = Body(receive, self.bodies, address_of(HTTPConnection(scope)), max_bytes, self.limit, slot)
            await self.app(scope, body.receive, send)

    def _refuse(self, method: str, headers: Headers, max_bytes: int) -> JSONResponse | None:
        if method not in ("GET", "HEAD", "OPTIONS") and is_foreign(headers, self.settings):
            return error_response(403, FOREIGN)
        key = bearer_key(headers)
        if not is_key(key, self.settings):
            return error_response(401, WRONG_KEY if key else NO_KEY, code="invalid_api_key")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > max_bytes:
            return error_response(413, too_large(max_bytes))
        if self.limit.is_reached and method != "GET":
            return error_response(429, self.limit.refusal, code="rate_limit_exceeded")
        return None


@dataclass
class Body:
    """The body of a request. It must keep coming, and the request takes its slot once it is complete."""

    source: Receive
    room: WaitingRoom
    address: str
    max_bytes: int
    limit: ConcurrencyLimit
    slot: ExitStack  # holds the slot until the response is complete
    start: float = field(default_factory=time.monotonic)
    num_bytes: int = 0
    is_complete: bool = False

    async def receive(self) -> Message:
        if self.is_complete:
            return await self.source()  # the end of the connection, which may take its time
        message = await self._receive_in_time()
        self.num_bytes += len(message.get("body", b""))
        if self.num_bytes > self.max_bytes:
            raise HTTPException(413, too_large(self.max_bytes))
        self.is_complete = message["type"] == "http.request" and not message.get("more_body", False)
        if self.is_complete:
            try:
                self.slot.enter_context(self.limit.hold())
            except Overloaded as error:
                raise HTTPException(429, str(error)) from error
        return message

    async def _receive_in_time(self) -> Message:
        seconds = self.start + GRACE_SECONDS + self.num_bytes / BYTES_PER_SECOND - time.monotonic()
        try:
            async with self.room.wait(self.address, seconds):
                return await self.source()
        except TimeoutError as error:
            raise HTTPException(408, TOO_SLOW, {"Connection": "close"}) from error
