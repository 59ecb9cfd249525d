"""The web process: the page at /, the interfaces under /v1, their description at /docs."""

import json
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.middleware.trustedhost import TrustedHostMiddleware

from convai.client import AsyncConvaiClient
from convai.description.limits import MAX_CONTEXT_BYTES, MAX_QUESTION_SECONDS
from convai.package_data import packaged
from convai.talk import (
    ask_endpoint,
    chat_endpoint,
    listening,
    metrics,
    openai_endpoints,
    speech_endpoint,
    transcription_endpoint,
)
from convai.talk.access import AuthenticationMiddleware, ConcurrencyLimit, WaitingRoom
from convai.talk.errors import add_error_handlers
from convai.talk.metrics import Metrics, MetricsMiddleware
from convai.talk.request_ids import RequestIdMiddleware
from convai.talk.server import read_recogniser_name
from convai.talk.settings import Settings

PAGE = packaged("talk", "page")
EXAMPLES = packaged("client", "examples", "examples.jsonl")
# The page loads nothing from other hosts, and no script injected into it could.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; media-src 'self' blob:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
LOCAL_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
# Of a form; its fields are kept in memory, its files on disk beyond 1 MiB.
FORM_LIMITS = {"max_files": 4, "max_fields": 32, "max_part_size": 2 * MAX_CONTEXT_BYTES}


def make_app(client: AsyncConvaiClient, settings: Settings, *, is_local: bool = True) -> FastAPI:
    """Build the web process in front of the server of `client`.

    If it `is_local`, it answers only requests to local host names and that of its public URL: another site could point
    its own name at this address.
    """
    app = FastAPIOffline(
        title="convai",
        summary="A spoken question in, a spoken answer out.",
        version=version("convai-triton"),
        redoc_url=None,
        form_limits=FORM_LIMITS,
    )
    app.state.client = client
    app.state.settings = settings
    app.state.limit = ConcurrencyLimit(settings.max_concurrent)
    app.state.newcomers = WaitingRoom()
    app.state.metrics = Metrics(app.state.limit)
    # It only describes the key; the middleware checks it, before the body is read.
    described = [Depends(HTTPBearer(auto_error=False))] if settings.api_key else []
    for endpoints in (transcription_endpoint, speech_endpoint, openai_endpoints, chat_endpoint, ask_endpoint):
        app.include_router(endpoints.router, dependencies=described)
    for endpoints in (listening, metrics):
        app.include_router(endpoints.router)
    add_error_handlers(app)
    add_page(app, client, settings)
    app.add_middleware(AuthenticationMiddleware, settings=settings, limit=app.state.limit)
    if is_local:
        public = [settings.public_host] if settings.public_host else []
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL_HOSTS, *public])
    app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
    app.add_middleware(RequestIdMiddleware)
    return app


def add_page(app: FastAPI, client: AsyncConvaiClient, settings: Settings) -> None:
    records = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    page_settings = {
        "examples": [
            {
                "title": record["title"],
                "question": record["question"],
                "context": record["context"],
                "audio": f"/examples/{record['audio']}",
            }
            for record in records
        ],
        "needs_key": settings.api_key is not None,
        "max_context_bytes": MAX_CONTEXT_BYTES,
        "max_question_seconds": MAX_QUESTION_SECONDS,
        "max_upload_bytes": settings.max_upload_bytes,
    }

    @app.get("/", include_in_schema=False)
    async def get_page() -> Response:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @app.get("/page.json", include_in_schema=False)
    async def get_page_settings() -> dict[str, Any]:
        return {**page_settings, "recogniser": await read_recogniser_name(client)}

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.mount("/examples", StaticFiles(directory=EXAMPLES.parent), name="examples")
