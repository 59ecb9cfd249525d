"""Turns every failure into the JSON that OpenAI's clients read: {"error": {"message", "type", "param", "code"}}."""

import logging
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler, Scope

from convai.client.errors import ConvaiError, InvalidInput, Overloaded, ServerUnreachable, TimedOut
from convai.talk.request_ids import HEADER, id_of

logger = logging.getLogger(__name__)
STATUS = {InvalidInput: 400, Overloaded: 503, ServerUnreachable: 503, TimedOut: 504}
FAILED_UPSTREAM = 502
RETRY_SECONDS = 1
# For callers: the errors of the server behind name its address, which is for the log.
SERVER_SENTENCES = {
    Overloaded: "the server is busy; try again in a moment",
    ServerUnreachable: "the server is not ready or does not answer; try again in a moment",
    TimedOut: "the server did not answer in time; try again later",
}
SERVER_FAILED = "the server failed on this request; the log of the web process says why"
CODES = {429: "rate_limit_exceeded"}
SENTENCES = {
    404: "There is nothing at {path}; see /docs.",
    405: "Method {method} is not allowed for {path}; see /docs.",
}
NOT_A_FILE = "expected a file, got a field without a file name; with curl, write -F NAME=@FILE"


class BadRequest(InvalidInput):
    """A request that the web process refuses; `param` names the field."""

    def __init__(self, message: str, param: str | None = None):
        super().__init__(message)
        self.param = param


def error_response(status: int, message: str, param: str | None = None, code: str | None = None) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else {}
    headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse({"error": _error_content(status, message, param, code)}, status, headers)


def public_message(error: Exception, request: str = "") -> str:
    """Return what a caller may read of an error; log the rest, with `request` after it."""
    if isinstance(error, InvalidInput):
        return str(error)
    logger.warning("%s: %s%s", type(error).__name__, error, request)
    return next((text for kind, text in SERVER_SENTENCES.items() if isinstance(error, kind)), SERVER_FAILED)


def describe_error(error: ConvaiError, request: str = "") -> dict[str, str | None]:
    """Return the error as OpenAI's clients read it in an event of a stream; log the rest, with `request` after it."""
    return _error_content(_status_of(error), public_message(error, request), _param_of(error))


def name_request(scope: Scope) -> str:
    """Return what stands in the log after a failure of this request."""
    return f" (request {id_of(scope)})"


def _error_content(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, str | None]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": message, "type": kind, "param": param, "code": code}


def _status_of(error: ConvaiError) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), FAILED_UPSTREAM)


def _param_of(error: ConvaiError) -> str | None:
    return error.param if isinstance(error, BadRequest) else None


def too_large(max_bytes: int) -> str:
    return f"request: expected at most {max_bytes:,} bytes, got more"


def add_error_handlers(app: FastAPI) -> None:
    # Starlette's types expect handlers of any Exception; each of these gets only errors of the class before it.
    app.add_exception_handler(ConvaiError, cast(ExceptionHandler, _handle_convai_error))
    app.add_exception_handler(RequestValidationError, cast(ExceptionHandler, _handle_validation_error))
    app.add_exception_handler(HTTPException, cast(ExceptionHandler, _handle_http_error))
    app.add_exception_handler(Exception, _handle_bug)


def _handle_convai_error(request: Request, error: ConvaiError) -> JSONResponse:
    return error_response(_status_of(error), public_message(error, name_request(request.scope)), _param_of(error))


def _handle_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    """Report the first thing that FastAPI found wrong with the form or the JSON."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        reason = f"{first['ctx']['error']} at character {first['loc'][-1]}"
        return error_response(400, f"the request's body: expected JSON, got malformed JSON ({reason})")
    place = [str(part) for part in first["loc"] if part not in ("body", "query")]
    name = ".".join(place) or "the request's body"
    message = NOT_A_FILE if "UploadFile" in first["msg"] else first["msg"]
    return error_response(400, f"{name}: {message}", place[0] if place else None)


def _handle_http_error(request: Request, error: HTTPException) -> JSONResponse:
    sentence = SENTENCES.get(error.status_code, "{detail}")
    values = {"method": request.method, "path": request.url.path, "detail": error.detail}
    response = error_response(error.status_code, sentence.format(**values), code=CODES.get(error.status_code))
    response.headers.update(error.headers or {})
    return response


def _handle_bug(request: Request, error: Exception) -> JSONResponse:
    request_id = id_of(request.scope)
    logger.error("request %s failed; the traceback follows", request_id)
    response = error_response(500, f"the web process failed on this request; its log says why: request {request_id}")
    response.headers[HEADER] = request_id  # Starlette sends it from outside all other middleware
    return response
