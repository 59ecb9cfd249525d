"""Talk to the pipeline: a page with a microphone, and the interfaces of OpenAI and Home Assistant, in one web process.

convai talk
convai talk --server 127.0.0.1:8001 --wyoming-port 10300 --context text.txt
convai talk --public-url https://talk.example
"""

import argparse
import asyncio
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convai.backends.management.launcher import Server, ServerNotRunning, is_loopback
from convai.backends.management.serve import CHECK_SECONDS, Interrupt, warm_up
from convai.backends.management.watchdog import Watchdog
from convai.client import AsyncConvaiClient
from convai.client.command_options import add_tls_arguments, tls_of
from convai.client.connection import Connection
from convai.client.listen import cancel_tasks
from convai.client.turns import SileroDetector
from convai.description.config_files import DEFAULT_PROFILE, profiles_of
from convai.errors import InvalidArgument
from convai.program import EscapingFormatter
from convai.talk.context_file import ContextFile
from convai.talk.settings import Settings

if TYPE_CHECKING:  # importing them takes a second, which --help need not
    import uvicorn
    from fastapi import FastAPI

    from convai.talk.access import ConcurrencyLimit

KEY_VARIABLE = "CONVAI_API_KEY"
MOONSHINE_PROFILE = "cpu-moonshine"
MEBIBYTE = 1024 * 1024
SWITCH_SECONDS = 0.0005
START_SECONDS = 0.02


class Wyoming(NamedTuple):
    """What serving Wyoming takes."""

    listening: socket.socket
    context: ContextFile | None

    @property
    def port(self) -> int:
        return self.listening.getsockname()[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", metavar="HOST:PORT", help="gRPC address of a running server; default: start one")
    add_tls_arguments(parser)
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    profile_help = (
        f"of the server; default: {MOONSHINE_PROFILE} where moonshine-voice is installed, else {DEFAULT_PROFILE}"
    )
    parser.add_argument("--profile", help=profile_help)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: local only)")
    parser.add_argument("--port", type=int, default=8080, help="of page and API (default %(default)s); 0 picks one")
    parser.add_argument("--public-url", metavar="URL", help="where a proxy publishes it, like https://talk.example")
    parser.add_argument(
        "--wyoming-port", type=int, metavar="PORT", help="serve Wyoming for Home Assistant, often 10300; 0 picks one"
    )
    context_help = "with Wyoming: text that a conversation agent answers from, up to 32 KiB; read again when it changes"
    parser.add_argument("--context", type=Path, metavar="FILE", help=context_help)
    parser.add_argument("--zeroconf", action="store_true", help="announce Wyoming, so that Home Assistant finds it")
    key_help = f"key that callers have to send; better set as {KEY_VARIABLE}, which process lists do not show"
    parser.add_argument("--api-key", default=os.environ.get(KEY_VARIABLE), metavar="KEY", help=key_help)
    parser.add_argument(
        "--max-upload", type=float, default=25.0, metavar="MIB", help="per request (default %(default)g)"
    )
    limit_help = "requests and listening pages at once (default %(default)s)"
    parser.add_argument("--max-concurrent", type=int, default=32, metavar="N", help=limit_help)


def run(args: argparse.Namespace) -> int | None:
    if not 0 < args.max_upload < math.inf:
        raise InvalidArgument(f"--max-upload: expected a number of MiB above 0, got {args.max_upload:g}")
    settings = Settings(
        args.api_key or None, int(args.max_upload * MEBIBYTE), args.max_concurrent, public_url=args.public_url
    )
    handler = logging.StreamHandler()
    handler.setFormatter(EscapingFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    interrupt = Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with (
            open_socket(args.host, args.port) as listening,
            open_wyoming(args) as wyoming,
            find_server(args) as (address, server),
        ):
            warn_if_open(args, settings)
            asyncio.run(serve(args, settings, listening, wyoming, address, server))
    except KeyboardInterrupt:
        print("stopped")


def open_socket(host: str, port: int, option: str = "--port") -> socket.socket:
    """Open the port before the server starts, so that a port in use is reported at once."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InvalidArgument(f"cannot listen on {host}:{port} ({error}); give another --host or {option}") from error


@contextmanager
def open_wyoming(args: argparse.Namespace) -> Generator[Wyoming | None]:
    """Open Wyoming's port and read its text if --wyoming-port is given."""
    if args.wyoming_port is None:
        if args.context or args.zeroconf:
            raise InvalidArgument("--wyoming-port: expected a port with --context or --zeroconf, got none")
        yield None
        return
    if args.zeroconf and is_loopback(args.host):
        raise InvalidArgument(f"--zeroconf: expected a --host that others reach, such as 0.0.0.0, got {args.host}")
    context = ContextFile(args.context) if args.context else None
    with open_socket(args.host, args.wyoming_port, "--wyoming-port") as listening:
        yield Wyoming(listening, context)


@contextmanager
def find_server(args: argparse.Namespace) -> Generator[tuple[str, Server | None]]:
    """Yield the gRPC address of the server, and the server itself if it was started here."""
    tls = tls_of(args)
    if args.server:
        Connection(args.server, tls=tls)  # raises InvalidArgument if it is not an address
        yield args.server, None
        return
    if tls is not None:
        raise InvalidArgument("--server: expected an address with --tls-..., got none")
    print("starting the server ...", flush=True)
    profile = args.profile or choose_profile(args.model_repository)
    with Server(args.model_repository, profile=profile) as server, Watchdog(server):
        warm_up(server.control)
        yield server.grpc_address, server


def choose_profile(model_repository: Path) -> str:
    """Return the profile of the recogniser that understands strangers best, of those that can be served here."""
    is_available = find_spec("moonshine_voice") and MOONSHINE_PROFILE in profiles_of(model_repository / "moonshine")
    return MOONSHINE_PROFILE if is_available else DEFAULT_PROFILE


async def serve(
    args: argparse.Namespace,
    settings: Settings,
    listening: socket.socket,
    wyoming: Wyoming | None,
    address: str,
    server: Server | None,
) -> None:
    """Serve until a signal, or until the server has ended."""
    from convai.talk.app import make_app

    # A thread that detects speech in a recording must not hold up the event loop for Python's usual 5 ms at a time.
    sys.setswitchinterval(SWITCH_SECONDS)
    SileroDetector()  # imports its package, for which callers would wait
    async with AsyncConvaiClient(address, timeout_seconds=settings.timeout_seconds, tls=tls_of(args)) as client:
        app = make_app(client, settings, is_local=is_loopback(args.host))
        web = make_web_server(app)
        measured = app.state.limit.measured_by(partial(app.state.metrics.measure, "wyoming"))
        async with serve_wyoming(args, wyoming, client, measured):
            print(list_addresses(args, listening, wyoming), flush=True)
            watching = asyncio.create_task(watch(server, web))
            announcing = asyncio.create_task(announce(client, web))
            await web.serve(sockets=[listening])
            await cancel_tasks(announcing)
            watching.cancel()
            await watching


async def announce(client: AsyncConvaiClient, web: "uvicorn.Server") -> None:
    """Print "ready" once it is true."""
    from convai.talk.server import is_server_ready

    is_told = False
    while not (web.started and await is_server_ready(client)):
        if web.started and not is_told:
            print(f"waiting for the server at {client.connection.target} ...", flush=True)
            is_told = True
        await asyncio.sleep(CHECK_SECONDS if web.started else START_SECONDS)
    print("ready; Ctrl-C stops", flush=True)


def make_web_server(app: "FastAPI") -> "uvicorn.Server":
    import uvicorn

    from convai.talk.connections import HttpProtocol

    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        log_level="warning",
        log_config=None,  # as everything else here
        lifespan="off",  # not used, and after a second Ctrl-C its end would be logged as an error
        forwarded_allow_ips=["127.0.0.1", "::1"],  # a proxy on this machine says who calls
        ws_max_size=MEBIBYTE,
        ws_per_message_deflate=False,  # PCM hardly compresses
        ws_ping_timeout=60.0,  # a busy machine may take long to reply
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


@asynccontextmanager
async def serve_wyoming(
    args: argparse.Namespace, wyoming: Wyoming | None, client: AsyncConvaiClient, limit: "ConcurrencyLimit"
) -> AsyncGenerator[None]:
    """Serve Wyoming inside the block if it is asked for."""
    if wyoming is None:
        yield
        return
    from convai.talk.wyoming_server import announce_port, listen

    async with listen(wyoming.listening, client, limit, wyoming.context):
        async with announce_port(wyoming.listening) if args.zeroconf else nullcontext():
            yield


async def watch(server: Server | None, web: "uvicorn.Server") -> None:
    """Stop the web process if the server has ended for good; after a crash the watchdog restarts it."""
    try:
        while True:
            if server is not None:
                await asyncio.to_thread(server.check_running, may_crash=True)
            await asyncio.sleep(CHECK_SECONDS)
    except ServerNotRunning:
        web.should_exit = True
        raise
    except asyncio.CancelledError:
        pass


def warn_if_open(args: argparse.Namespace, settings: Settings) -> None:
    if is_loopback(args.host):
        return
    if settings.api_key is None:
        warn(f"{args.host} is open to other machines and needs no key; set one with --api-key")
    if args.wyoming_port is not None:
        warn(f"Wyoming has no authentication: port {args.wyoming_port} is open to other machines")
    if settings.public_url is None:
        warn("browsers allow the microphone only on the same machine or over HTTPS; put an HTTPS proxy in front")


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def list_addresses(args: argparse.Namespace, listening: socket.socket, wyoming: Wyoming | None) -> str:
    host = f"[{args.host}]" if ":" in args.host else args.host
    url = f"http://{host}:{listening.getsockname()[1]}"
    public = [f"public   {args.public_url}"] if args.public_url else []
    also = [] if wyoming is None else [f"Wyoming  tcp://{host}:{wyoming.port}"]
    return "\n".join([f"page     {url}", f"API      {url}/docs", *public, *also])
