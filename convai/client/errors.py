"""What can go wrong between a caller and the server: one base class, and one subclass per way out of it."""

import re
from collections.abc import Generator
from contextlib import contextmanager

from tritonclient.utils import InferenceServerException

from convai.errors import InvalidArgument

# gRPC gives its own connection failures the status of a busy server; only their wording tells them apart.
CONNECTION_FAILURE = re.compile(
    r"failed to connect|errors? resolving|DNS resolution|socket closed|connection (reset|refused|aborted)|broken pipe"
    r"|recvmsg|sendmsg|handshake|GOAWAY|stream removed|transport|endpoint closing"
    r"|all backends|keepalive|ping timeout",
    re.IGNORECASE,
)
TRITON_PREFIX = re.compile(r"^(\[request id: [^\]]*\] |in ensemble '[^']*', )+")


class ConvaiError(OSError):
    """Base of everything the client raises about a request or the server."""


class ServerUnreachable(ConvaiError, ConnectionError):
    """No server at the address, or the connection broke."""


class InvalidInput(ConvaiError, InvalidArgument):
    """The request is wrong; sending it again will not help."""


class Overloaded(ConvaiError):
    """The server is up but cannot take the request now; a later attempt may succeed."""


class TimedOut(ConvaiError, TimeoutError):
    """No response within the client's timeout."""


class ServerError(ConvaiError):
    """The server failed on a request that may well be right."""


def explain(error: InferenceServerException, address: str, timeout_seconds: float) -> ConvaiError:
    """Turn Triton's exception into the one of this module that says what a caller can do."""
    status = (error.status() or "").removeprefix("StatusCode.")
    detail = TRITON_PREFIX.sub("", error.message() or "no details given")
    if status == "UNAVAILABLE" and CONNECTION_FAILURE.search(detail):
        return ServerUnreachable(
            f"no connection to a server at {address} ({detail}); "
            "start one with `convai serve` or give the address of another, and the TLS options it asks for"
        )
    if status == "UNAVAILABLE":
        return Overloaded(f"the server at {address} cannot take the request now ({detail}); try again in a moment")
    if status == "DEADLINE_EXCEEDED":
        return timed_out(address, timeout_seconds)
    if status == "INVALID_ARGUMENT":
        return InvalidInput(detail)
    return ServerError(f"the server at {address} failed: {detail} ({status or 'no status'})")


def timed_out(address: str, timeout_seconds: float) -> TimedOut:
    return TimedOut(f"no response from {address} within {timeout_seconds:g} s; allow more time or try again later")


@contextmanager
def explained(address: str, timeout_seconds: float) -> Generator[None]:
    """Raise Triton's exceptions as ours, chained to the original."""
    try:
        yield
    except InferenceServerException as error:
        raise explain(error, address, timeout_seconds) from error
