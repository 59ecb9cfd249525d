"""The web process: the page at /, the interfaces under /v1, their description at /docs."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from convai.client import AsyncConvaiClient
from convai.description.limits import MAX_CONTEXT_BYTES, MAX_QUESTION_SECONDS
from convai.package_data import packaged
from convai.talk import ask_endpoint, listening, openai_endpoints
from convai.talk.errors import add_error_handlers
from convai.talk.gate import Gate, Places
from convai.talk.settings import Settings

PAGE = packaged("talk", "page")
EXAMPLES = packaged("client", "examples", "examples.jsonl")
# The page loads nothing from elsewhere, and may not be made to.
POLICY = "default-src 'self'; media-src 'self' blob:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"
LOCAL_NAMES = ["127.0.0.1", "localhost", "[::1]"]


def make_app(server_address: str, settings: Settings, *, is_local: bool = True) -> FastAPI:
    """The web process in front of the server at `server_address`, host:port of its gRPC.

    One that `is_local` answers to local names alone: another site could give itself this address.
    """
    app = FastAPIOffline(
        title="convai",
        summary="A spoken question in, a spoken answer out.",
        redoc_url=None,
        lifespan=partial(connected, server_address=server_address, settings=settings),
    )
    app.state.settings = settings
    app.state.places = Places(settings.max_concurrent)
    for part in (openai_endpoints, ask_endpoint, listening):
        app.include_router(part.router)
    add_error_handlers(app)
    add_page(app, settings)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=settings.max_upload_bytes)
    app.add_middleware(Gate, settings=settings, places=app.state.places)
    if is_local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)
    return app


@asynccontextmanager
async def connected(app: FastAPI, server_address: str, settings: Settings) -> AsyncGenerator[None]:
    async with AsyncConvaiClient(server_address, timeout_seconds=settings.timeout_seconds) as client:
        app.state.client = client
        yield


def add_page(app: FastAPI, settings: Settings) -> None:
    described = {
        "examples": examples(),
        "needs_key": settings.api_key is not None,
        "max_context_bytes": MAX_CONTEXT_BYTES,
        "max_question_seconds": MAX_QUESTION_SECONDS,
    }

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})

    @app.get("/page.json", include_in_schema=False)
    async def page_settings() -> dict[str, Any]:
        return described

    app.mount("/page", StaticFiles(directory=PAGE), name="page")


def examples() -> list[dict[str, str]]:
    """The example texts, each with a question that can be asked about it."""
    records = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    return [{"question": record["question"], "context": record["context"]} for record in records]
