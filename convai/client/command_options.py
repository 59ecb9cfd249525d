"""Options and input files that the client's commands share."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from convai.client.client import ConvaiClient
from convai.client.connection import DEFAULT_ADDRESS, Tls
from convai.errors import InvalidArgument


def add_server_arguments(parser: argparse.ArgumentParser, each: str) -> None:
    """Add the options of `connect`; `each` names what the timeout limits."""
    server_help = "default %(default)s; several addresses separated by commas, or a DNS target: dns:///NAME:PORT"
    parser.add_argument("--server", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help=server_help)
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help=f"for each {each}, default %(default)g"
    )
    add_tls_arguments(parser)


def add_tls_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tls-ca", help="PEM file of the authority that signed the server's certificate; turns on TLS")
    parser.add_argument("--tls-cert", help="PEM file of your certificate, for mutual TLS")
    parser.add_argument("--tls-key", help="PEM file of your certificate's key")
    parser.add_argument("--tls-name", metavar="HOST", help="host name in the certificates of several servers")


def connect(args: argparse.Namespace) -> ConvaiClient:
    return ConvaiClient(args.server, **connection_options(args))


def connection_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a client, from those of the command line."""
    return {"timeout_seconds": args.timeout, "tls": tls_of(args)}


def tls_of(args: argparse.Namespace) -> Tls | None:
    options = (args.tls_ca, args.tls_cert, args.tls_key, args.tls_name)
    return Tls(*options) if any(options) else None


def read_text(option: str, source: str, purpose: str, max_bytes: float = math.inf) -> str:
    """Return the text of the file `source`, or of stdin for -; `option` and `purpose` are for error messages."""
    name = "standard input" if source == "-" else source
    try:
        text = (sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise InvalidArgument(f"{option}: cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{option}: {name} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if not text.strip():
        raise InvalidArgument(f"{option}: expected the text {purpose}, but {name} is empty")
    if (size := len(text.encode())) > max_bytes:
        raise InvalidArgument(f"{option}: expected at most {max_bytes:,} bytes of UTF-8, got {size:,} in {name}")
    return text
