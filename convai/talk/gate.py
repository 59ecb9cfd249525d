"""Lets requests to /v1 in: with the key, if there is one, not too large and not too many at once. Looks at no body."""

import hmac
from collections.abc import Generator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from convai.talk.errors import error_response, too_large
from convai.talk.settings import Settings

NO_KEY = "this server asks for a key; send it as `Authorization: Bearer KEY`"
WRONG_KEY = "this is not the key of this server; send it as `Authorization: Bearer KEY`"


class Places:
    """How many may be served at once. A listening page takes a place like a request does."""

    def __init__(self, total: int):
        self.total = total
        self.taken = 0

    @property
    def refusal(self) -> str:
        return f"{self.total} requests are being served, which is the limit; try again in a moment"

    @contextmanager
    def take(self) -> Generator[bool]:
        """Whether there is a place, held inside the block."""
        is_free = self.taken < self.total
        self.taken += is_free
        try:
            yield is_free
        finally:
            self.taken -= is_free


def is_key(shown: str, settings: Settings) -> bool:
    # Compared in constant time, which tells nothing about how much of it is right.
    return settings.api_key is None or hmac.compare_digest(shown.encode(), settings.api_key.encode())


class Gate:
    """ASGI middleware for HTTP; the WebSocket of the page, whose key comes in its first message, asks for itself."""

    def __init__(self, app: ASGIApp, settings: Settings, places: Places):
        self.app = app
        self.settings = settings
        self.places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            return await self.app(scope, receive, send)
        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None:
            return await refusal(scope, receive, send)
        with self.places.take() as is_free:
            app = self.app if is_free else error_response(429, self.places.refusal, code="rate_limit_exceeded")
            await app(scope, receive, send)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        shown = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not is_key(shown, self.settings):
            return error_response(401, WRONG_KEY if shown else NO_KEY, code="invalid_api_key")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.settings.max_upload_bytes:
            return too_large(self.settings.max_upload_bytes)  # one of unknown length is counted as it comes
        return None
