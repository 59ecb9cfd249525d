"""What the web process counts, for Prometheus: /metrics. And /health, for probes and proxies."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convai.client import (
    Answered,
    Answering,
    ConvaiError,
    Event,
    Failed,
    Overloaded,
    SpeechEnded,
    SpeechStarted,
    Transcribed,
)
from convai.errors import InvalidArgument
from convai.talk.access import ConcurrencyLimit
from convai.talk.server import is_server_ready

router = APIRouter(include_in_schema=False)
# The interfaces over HTTP by their paths; a caller's path must not become a label. /v1/listen counts its questions.
INTERFACES = {"/": "page"} | {
    f"/v1/{name}": name for name in ("audio/speech", "audio/transcriptions", "ask", "chat/completions", "models")
}
BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
REFUSALS = (429, 503)
disable_created_metrics()  # a series more for each counter


class Metrics:
    """Outcomes: ok, invalid (4xx), refused (429, 503), failed (other 5xx, or broken off), left (by the caller)."""

    def __init__(self, limit: ConcurrencyLimit):
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "convai_talk_request_seconds",
            "Time of a request until its answer is complete; of a question to /v1/listen until the answer begins",
            ("interface", "outcome"),
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.empty_transcripts = Counter(
            "convai_empty_transcripts_total", "Recordings with speech whose transcript is empty", registry=self.registry
        )
        active = Gauge("convai_talk_active_requests", "Requests and pages being served", registry=self.registry)
        active.set_function(lambda: limit.active)

    def count(self, interface: str, outcome: str, since: float) -> None:
        """Count what began at `since` on the monotonic clock."""
        self.seconds.labels(interface, outcome).observe(time.monotonic() - since)

    @contextmanager
    def measure(self, interface: str) -> Generator[None]:
        """Count the block by the exception that it raises."""
        start, outcome = time.monotonic(), "failed"
        try:
            yield
            outcome = "ok"
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            self.count(interface, outcome, start)

    async def count_questions(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Yield the events of `client.listen`, and count each question when its answer begins."""
        asked: deque[float] = deque()
        is_answering = False  # a question that was counted
        async with aclosing(events):
            async for event in events:
                match event:
                    case SpeechEnded():
                        asked.append(time.monotonic())
                    case Failed(error):
                        since = asked.popleft() if asked and not is_answering else time.monotonic()
                        self.count("listen", outcome_of(error), since)
                        is_answering = False
                    case Answering(chunk) if chunk.chunk_index > 0:
                        is_answering = not chunk.is_last
                    case Answered() | Answering() | Transcribed() if asked:
                        self.count("listen", "ok", asked.popleft())
                        is_answering = isinstance(event, Answering) and not event.chunk.is_last
                    case SpeechStarted():
                        is_answering = False  # it cancels the rest of an answer
                    case _:
                        pass
                yield event


def outcome_of(error: BaseException) -> str:
    """Return the outcome of the first kind that fits. A broken connection is the caller's, unless it is ours."""
    kinds = {Overloaded: "refused", InvalidArgument: "invalid", ConvaiError: "failed"}
    kinds |= {asyncio.CancelledError: "left", ConnectionError: "left"}
    return next((outcome for kind, outcome in kinds.items() if isinstance(error, kind)), "failed")


class MetricsMiddleware:
    """ASGI middleware for HTTP."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        interface = INTERFACES.get(scope["path"]) if scope["type"] == "http" else None
        if interface is None:
            return await self.app(scope, receive, send)
        status, is_complete, has_left = 500, False, False

        async def observe_receive() -> Message:
            nonlocal has_left
            message = await receive()
            has_left = has_left or (message["type"] == "http.disconnect" and not is_complete)
            return message

        async def observe_send(message: Message) -> None:
            nonlocal status, is_complete
            status = message.get("status", status)
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        start = time.monotonic()
        try:
            await self.app(scope, observe_receive, observe_send)
        finally:
            outcome = "left" if has_left else outcome_of_status(status) if is_complete else "failed"
            self.metrics.count(interface, outcome, start)


def outcome_of_status(status: int) -> str:
    if status in REFUSALS:
        return "refused"
    return "ok" if status < 400 else "invalid" if status < 500 else "failed"


@router.get("/metrics")
async def get_metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/health")
async def get_health(request: Request) -> Response:
    if await is_server_ready(request.app.state.client):
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "unavailable", "reason": "the server is not ready or does not answer"}, 503)
