"""Admits requests to /v1: with the right key, not too large, and while the concurrency limit is not reached."""

import hmac
from collections.abc import Generator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from convai.client import Overloaded
from convai.talk.errors import error_response, too_large
from convai.talk.settings import Settings

NO_KEY = "this server asks for a key; send it as `Authorization: Bearer KEY`"
WRONG_KEY = "the key is wrong; send the right one as `Authorization: Bearer KEY`"


class ConcurrencyLimit:
    """Bounds the requests served at once. A page that listens counts as one."""

    def __init__(self, max_concurrent: int):
        self.max_concurrent = max_concurrent
        self.active = 0

    @property
    def is_reached(self) -> bool:
        return self.active >= self.max_concurrent

    @property
    def refusal(self) -> str:
        return f"{self.max_concurrent} requests are being served, which is the limit; try again in a moment"

    @contextmanager
    def hold(self) -> Generator[None]:
        """Count as one request inside the block; raise `Overloaded` if the limit is reached."""
        if self.is_reached:
            raise Overloaded(self.refusal)
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1


def is_key(candidate: str, settings: Settings) -> bool:
    # Compared in constant time, so the response time does not reveal how much of a guess is right.
    return settings.api_key is None or hmac.compare_digest(candidate.encode(), settings.api_key.encode())


class AuthenticationMiddleware:
    """ASGI middleware for HTTP. The page's WebSocket, which sends the key in its first message, checks it itself."""

    def __init__(self, app: ASGIApp, settings: Settings, limit: ConcurrencyLimit):
        self.app = app
        self.settings = settings
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            return await self.app(scope, receive, send)
        refusal = self._refuse(Headers(scope=scope))
        if refusal is not None:
            return await refusal(scope, receive, send)
        with self.limit.hold():
            await self.app(scope, receive, send)

    def _refuse(self, headers: Headers) -> JSONResponse | None:
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not is_key(key, self.settings):
            return error_response(401, WRONG_KEY if key else NO_KEY, code="invalid_api_key")
        # Starlette's own limit, which counts bodies of unknown length, answers these without JSON.
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.settings.max_upload_bytes:
            return too_large(self.settings.max_upload_bytes)
        if self.limit.is_reached:
            return error_response(429, self.limit.refusal, code="rate_limit_exceeded")
        return None
