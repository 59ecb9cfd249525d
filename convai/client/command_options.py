"""What the commands that call a server have in common: where it is, and texts that are read from files."""

import argparse
import sys
from pathlib import Path

from convai.client.client import ConvaiClient
from convai.client.connection import DEFAULT_ADDRESS, Tls
from convai.errors import InvalidArgument


def add_server_arguments(parser: argparse.ArgumentParser, each: str) -> None:
    """Options for `connected`; `each` tells what the time limit is for."""
    server_help = "default %(default)s; several with commas between them, or a DNS name: dns:///NAME:PORT"
    parser.add_argument("--server", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help=server_help)
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help=f"for each {each}, default %(default)g"
    )
    parser.add_argument("--tls-ca", help="PEM file of the authority that signed the server's certificate; turns on TLS")
    parser.add_argument("--tls-cert", help="PEM file of your certificate, for mutual TLS")
    parser.add_argument("--tls-key", help="PEM file of your certificate's key")
    parser.add_argument("--tls-name", metavar="HOST", help="whom the certificates of several servers are for")


def connected(args: argparse.Namespace) -> ConvaiClient:
    return ConvaiClient(args.server, timeout_seconds=args.timeout, tls=tls(args))


def tls(args: argparse.Namespace) -> Tls | None:
    given = (args.tls_ca, args.tls_cert, args.tls_key, args.tls_name)
    return Tls(*given) if any(given) else None


def read_text(option: str, source: str, purpose: str) -> str:
    """A text for `purpose`; `source`, given with `option`, is a path, or - for stdin."""
    name = "standard input" if source == "-" else source
    try:
        text = (sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise InvalidArgument(f"{option}: cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{option}: {name} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if not text.strip():
        raise InvalidArgument(f"{option}: {name} is empty; it must hold the text {purpose}")
    return text
