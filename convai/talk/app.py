"""The web process: the page at /, the interfaces under /v1, their description at /docs."""

import json
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
from convai.talk import ask_endpoint, listening, openai_endpoints, transcription_endpoint
from convai.talk.access import AuthenticationMiddleware, ConcurrencyLimit
from convai.talk.errors import add_error_handlers
from convai.talk.recogniser import read_recogniser_name
from convai.talk.settings import Settings

PAGE = packaged("talk", "page")
EXAMPLES = packaged("client", "examples", "examples.jsonl")
# The page loads nothing from other hosts, and no script injected into it could.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; media-src 'self' blob:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
LOCAL_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


def make_app(client: AsyncConvaiClient, settings: Settings, *, is_local: bool = True) -> FastAPI:
    """Build the web process in front of the server of `client`.

    If it `is_local`, it answers only requests to local host names: another site could point its own name at this
    address.
    """
    app = FastAPIOffline(title="convai", summary="A spoken question in, a spoken answer out.", redoc_url=None)
    app.state.client = client
    app.state.settings = settings
    app.state.empty_transcripts = 0  # of recordings with speech
    app.state.limit = ConcurrencyLimit(settings.max_concurrent)
    for endpoints in (transcription_endpoint, openai_endpoints, ask_endpoint, listening):
        app.include_router(endpoints.router)
    add_error_handlers(app)
    add_page(app, client, settings)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=settings.max_upload_bytes)
    app.add_middleware(AuthenticationMiddleware, settings=settings, limit=app.state.limit)
    if is_local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_HOSTS)
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
