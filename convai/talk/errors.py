"""Turns every failure into the JSON that OpenAI's clients read: {"error": {"message", "type", "param", "code"}}."""

import logging
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from convai.client.errors import ConvaiError, InvalidInput, Overloaded, ServerUnreachable, TimedOut
from convai.talk.request_ids import HEADER, id_of

logger = logging.getLogger(__name__)

STATUS = {InvalidInput: 400, Overloaded: 503, ServerUnreachable: 503, TimedOut: 504}
FAILED_UPSTREAM = 502
RETRY_SECONDS = 1
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


def describe_error(error: ConvaiError) -> dict[str, str | None]:
    """Return the error as OpenAI's clients read it in an event of a stream."""
    return _error_content(_status_of(error), str(error), _param_of(error))


def _error_content(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, str | None]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": message, "type": kind, "param": param, "code": code}


def _status_of(error: ConvaiError) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), FAILED_UPSTREAM)


def _param_of(error: ConvaiError) -> str | None:
    return error.param if isinstance(error, BadRequest) else None


def too_large(max_bytes: int) -> JSONResponse:
    return error_response(413, f"The request is larger than the limit of {max_bytes:,} bytes.")


def add_error_handlers(app: FastAPI) -> None:
    # Starlette's types expect handlers of any Exception; each of these gets only errors of the class before it.
    app.add_exception_handler(ConvaiError, cast(ExceptionHandler, _handle_convai_error))
    app.add_exception_handler(RequestValidationError, cast(ExceptionHandler, _handle_validation_error))
    app.add_exception_handler(HTTPException, cast(ExceptionHandler, _handle_http_error))
    app.add_exception_handler(Exception, _handle_bug)


def _handle_convai_error(request: Request, error: ConvaiError) -> JSONResponse:
    if _status_of(error) >= 500:
        logger.warning("%s (request %s)", error, id_of(request.scope))
    return error_response(_status_of(error), str(error), _param_of(error))


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
    if error.status_code == 413:
        return too_large(request.app.state.settings.max_upload_bytes)
    sentence = SENTENCES.get(error.status_code, "{detail}")
    values = {"method": request.method, "path": request.url.path, "detail": error.detail}
    return error_response(error.status_code, sentence.format(**values))


def _handle_bug(request: Request, error: Exception) -> JSONResponse:
    request_id = id_of(request.scope)
    logger.error("request %s failed; the traceback follows", request_id)
    response = error_response(500, f"the web process failed on this request; its log says why: request {request_id}")
    response.headers[HEADER] = request_id  # Starlette sends it from outside all other middleware
    return response
