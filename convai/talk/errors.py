"""Every failure as the JSON that OpenAI's clients read: {"error": {"message", "type", "param", "code"}}."""

from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from convai.client.errors import ConvaiError, InvalidInput, Overloaded, ServerUnreachable, TimedOut

STATUS = {InvalidInput: 400, Overloaded: 503, ServerUnreachable: 503, TimedOut: 504}
FAILED_UPSTREAM = 502
RETRY_SECONDS = 1
SENTENCES = {
    404: "there is nothing at {path}; /docs lists what there is",
    405: "{method} is not what {path} takes; /docs tells what it does",
}


class BadRequest(InvalidInput):
    """The caller's mistake, found here; `param` names the field."""

    def __init__(self, message: str, param: str | None = None):
        super().__init__(message)
        self.param = param


def error_response(status: int, message: str, param: str | None = None, code: str | None = None) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else {}
    headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    content = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(content, status, headers)


def too_large(max_bytes: int) -> JSONResponse:
    return error_response(413, f"the request is larger than {max_bytes:,} bytes, which is what this server takes")


def add_error_handlers(app: FastAPI) -> None:
    # Each handler is given errors of the class that it stands beside, which Starlette's types do not tell.
    app.add_exception_handler(BadRequest, cast(ExceptionHandler, _bad_request))
    app.add_exception_handler(ConvaiError, cast(ExceptionHandler, _convai_error))
    app.add_exception_handler(RequestValidationError, cast(ExceptionHandler, _invalid))
    app.add_exception_handler(HTTPException, cast(ExceptionHandler, _http_error))
    app.add_exception_handler(Exception, _bug)


def status_of(error: ConvaiError) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), FAILED_UPSTREAM)


def _bad_request(request: Request, error: BadRequest) -> JSONResponse:
    return error_response(400, str(error), error.param)


def _convai_error(request: Request, error: ConvaiError) -> JSONResponse:
    return error_response(status_of(error), str(error))


def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """What FastAPI found wrong with the request's form or JSON, in words; the first of several."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query")]
    name = ".".join(place) or "the request's body"
    return error_response(400, f"{name}: {first['msg']}", place[0] if place else None)


def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    if error.status_code == 413:
        return too_large(request.app.state.settings.max_upload_bytes)
    sentence = SENTENCES.get(error.status_code, "{detail}")
    known = {"method": request.method, "path": request.url.path, "detail": error.detail}
    return error_response(error.status_code, sentence.format(**known))


def _bug(request: Request, error: Exception) -> JSONResponse:
    return error_response(500, "the web process failed on this request; its log says why")
