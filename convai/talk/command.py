"""Talk to the pipeline: a page with a microphone, and the interfaces of OpenAI and Home Assistant, in one web process.

convai talk
convai talk --server 127.0.0.1:8001 --wyoming-port 10300
"""

import argparse
import asyncio
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convai.backends.management.launcher import Server, ServerNotRunning
from convai.backends.management.serve import CHECK_SECONDS, Interrupt, warm_up
from convai.backends.management.watchdog import Watchdog
from convai.client.connection import Connection
from convai.description.config_files import DEFAULT_PROFILE
from convai.errors import InvalidArgument
from convai.talk.settings import Settings

if TYPE_CHECKING:  # only `serve` needs them, and a help text should not wait for it
    import uvicorn
    from fastapi import FastAPI

    from convai.talk.gate import Places

KEY_VARIABLE = "CONVAI_API_KEY"
MEBIBYTE = 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", metavar="HOST:PORT", help="gRPC of a running server; without it one is started")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default=DEFAULT_PROFILE, help="configuration of every model (default %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: local only)")
    parser.add_argument("--port", type=int, default=8080, help="of page and API, default %(default)s; 0 picks one")
    parser.add_argument("--wyoming-port", type=int, metavar="PORT", help="speak to Home Assistant there, often 10300")
    key_help = f"what callers have to show; better given as {KEY_VARIABLE}, which no list of processes shows"
    parser.add_argument("--api-key", default=os.environ.get(KEY_VARIABLE), metavar="KEY", help=key_help)
    parser.add_argument(
        "--max-upload", type=float, default=25.0, metavar="MIB", help="per request, default %(default)g"
    )
    limit_help = "requests and listening pages at once, default %(default)s"
    parser.add_argument("--max-concurrent", type=int, default=32, metavar="N", help=limit_help)


def run(args: argparse.Namespace) -> int | None:
    settings = Settings(args.api_key or None, int(args.max_upload * MEBIBYTE), args.max_concurrent)
    interrupt = Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with listening_socket(args.host, args.port) as listening, triton(args) as (address, server):
            warn_if_open(args, settings)
            asyncio.run(serve(args, settings, listening, address, server))
    except KeyboardInterrupt:
        print("stopped")


def listening_socket(host: str, port: int) -> socket.socket:
    """Taken before the server starts: a port that is in use should not cost that time."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InvalidArgument(f"cannot listen on {host}:{port} ({error}); give another --host or --port") from error


@contextmanager
def triton(args: argparse.Namespace) -> Generator[tuple[str, Server | None]]:
    """The gRPC address to ask, and the server behind it if it was started here."""
    if args.server:
        Connection(args.server)  # refuses what is no address
        yield args.server, None
        return
    print("starting the server ...", flush=True)
    with Server(args.model_repository, profile=args.profile) as server, Watchdog(server):
        warm_up(server.control)
        yield server.grpc_address, server


async def serve(
    args: argparse.Namespace, settings: Settings, listening: socket.socket, address: str, server: Server | None
) -> None:
    """Serve until a signal, or until the server has ended."""
    from convai.talk.app import make_app

    app = make_app(address, settings, is_local=is_local(args.host))
    web = web_server(app)
    async with wyoming(args, settings, address, app.state.places):
        print(description(args, listening), flush=True)
        watching = asyncio.create_task(watch(server, web))
        await web.serve(sockets=[listening])
        watching.cancel()
        await watching


def web_server(app: "FastAPI") -> "uvicorn.Server":
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        ws_max_size=MEBIBYTE,
        ws_per_message_deflate=False,  # samples do not get smaller by it
        ws_ping_timeout=60.0,  # a busy machine may be slow
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


@asynccontextmanager
async def wyoming(args: argparse.Namespace, settings: Settings, address: str, places: "Places") -> AsyncGenerator[None]:
    """Speak Wyoming too, if that has a port."""
    if args.wyoming_port is None:
        yield
        return
    from convai.client import AsyncConvaiClient
    from convai.talk.wyoming_server import start_wyoming

    async with AsyncConvaiClient(address, timeout_seconds=settings.timeout_seconds) as client:
        server = await start_wyoming(args.host, args.wyoming_port, client, places)
        yield
        await server.stop()


async def watch(server: Server | None, web: "uvicorn.Server") -> None:
    """End the web process with the server's reason if that ends for good; after a crash the watchdog starts it anew."""
    try:
        while True:
            if server is not None and not server.has_crashed:
                await asyncio.to_thread(server.check_running)
            await asyncio.sleep(CHECK_SECONDS)
    except ServerNotRunning:
        web.should_exit = True
        raise
    except asyncio.CancelledError:
        pass


def is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def warn_if_open(args: argparse.Namespace, settings: Settings) -> None:
    if is_local(args.host):
        return
    if settings.api_key is None:
        warn(f"everyone who reaches {args.host} may use this server; --api-key asks them for a key")
    if args.wyoming_port is not None:
        warn(f"Wyoming knows no keys: everyone who reaches port {args.wyoming_port} may use it")
    warn(
        "browsers give the microphone only to pages on the same machine or over HTTPS; put a proxy with HTTPS in front"
    )


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def description(args: argparse.Namespace, listening: socket.socket) -> str:
    host = f"[{args.host}]" if ":" in args.host else args.host
    url = f"http://{host}:{listening.getsockname()[1]}"
    wyoming = [] if args.wyoming_port is None else [f"Wyoming  tcp://{host}:{args.wyoming_port}"]
    return "\n".join([f"page     {url}", f"API      {url}/docs", *wyoming, "ready; Ctrl-C stops"])
