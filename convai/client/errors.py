"""Errors of the client: one base class, and one subclass for each way in which a caller can react."""

import re

from tritonclient.utils import InferenceServerException

from convai.errors import InvalidArgument

# gRPC reports its own connection failures with the status of a busy server; only the wording differs.
CONNECTION_FAILURE = re.compile(
    r"failed to connect|errors? resolving|DNS resolution|socket closed|connection (reset|refused|aborted)|broken pipe"
    r"|recvmsg|sendmsg|handshake|GOAWAY|stream removed|transport|endpoint closing"
    r"|all backends|keepalive|ping timeout",
    re.IGNORECASE,
)
TRITON_PREFIX = re.compile(r"^(\[request id: [^\]]*\] |in ensemble '[^']*', )+")


class ConvaiError(OSError):
    """Base class of all errors about a request or the server."""


class ServerUnreachable(ConvaiError, ConnectionError):
    """No server answers at the address, or the connection broke."""


class InvalidInput(ConvaiError, InvalidArgument):
    """The request is invalid; sending it again does not help."""


class Overloaded(ConvaiError):
    """The server runs but cannot take the request now; a later attempt may succeed."""


class TimedOut(ConvaiError, TimeoutError):
    """No response arrived within the client's timeout."""


class ServerError(ConvaiError):
    """The server failed on a request that may be valid."""


def to_convai_error(error: InferenceServerException, address: str, timeout_seconds: float) -> ConvaiError:
    status = (error.status() or "").removeprefix("StatusCode.")
    detail = TRITON_PREFIX.sub("", error.message() or "no details given")
    if status == "UNAVAILABLE" and CONNECTION_FAILURE.search(detail):
        return ServerUnreachable(
            f"no connection to a server at {address} ({detail}); "
            "start one with `convai serve`, or check the address and the TLS options"
        )
    if status == "UNAVAILABLE":
        return Overloaded(f"the server at {address} cannot take the request now ({detail}); try again in a moment")
    if status == "DEADLINE_EXCEEDED":
        return timeout_error(address, timeout_seconds)
    if status == "INVALID_ARGUMENT":
        return InvalidInput(detail)
    return ServerError(f"the server at {address} failed: {detail} ({status or 'no status'})")


def timeout_error(address: str, timeout_seconds: float) -> TimedOut:
    return TimedOut(f"no response from {address} within {timeout_seconds:g} s; raise the timeout or try again later")
