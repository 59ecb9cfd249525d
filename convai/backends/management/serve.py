"""Serve the model repository: start Triton, wait until every model is ready, warm up, and watch over it until Ctrl-C.

convai serve --profile cpu --grpc-port 8001 -- --log-verbose=1
"""

import argparse
import signal
import time
from pathlib import Path

from convai.backends.management.launcher import Server, ServerTls
from convai.backends.management.retirement import retire
from convai.backends.management.warm_up import DEFAULT_QUESTIONS, warm_up
from convai.backends.management.watchdog import Watchdog
from convai.description.config_files import DEFAULT_PROFILE
from convai.errors import InvalidArgument

CHECK_SECONDS = 0.5
DRAIN_SECONDS = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default=DEFAULT_PROFILE, help="configuration of every model (default %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: local only)")
    for name, port in {"grpc": 8001, "http": 8000, "metrics": 8002}.items():
        text = f"default {port}; 0 picks one"
        parser.add_argument(f"--{name}-port", type=int, default=port, metavar="PORT", help=text)
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="server certificate (PEM): gRPC only over TLS")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="private key (PEM) of --tls-cert")
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help="clients must show a certificate signed by this CA")
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="append Triton's log (default: not kept)")
    parser.add_argument("--ready-timeout", type=float, default=180.0, metavar="SECONDS", help="default %(default)s")
    warm_up_help = "silent questions to begin with, default %(default)s"
    parser.add_argument("--warm-up", type=int, default=DEFAULT_QUESTIONS, metavar="N", help=warm_up_help)
    drain_help = "when stopped, finish what is in flight for up to so long, default %(default)g; 0 drops it"
    parser.add_argument("--drain", type=float, default=DRAIN_SECONDS, metavar="SECONDS", help=drain_help)
    parser.add_argument("tritonserver_options", nargs="*", metavar="-- OPTIONS", help="passed on to tritonserver")


def run(args: argparse.Namespace) -> int | None:
    if args.drain < 0:
        raise InvalidArgument(f"--drain is {args.drain:g}; allowed is 0 (stop at once) or more seconds")
    interrupt = Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        with server_from(args) as server:
            try:
                serve(server, args.warm_up)
            except KeyboardInterrupt:
                retire(server, args.drain, print_at_once, lambda: interrupt.count > 1)
                raise
    except KeyboardInterrupt:
        print("stopped")


def serve(server: Server, warm_up_questions: int) -> None:
    """Watch over the server until a signal comes or it ends."""
    with Watchdog(server):
        warm_up(server.control, warm_up_questions)
        print_at_once(description(server))
        while True:
            if not server.has_crashed:  # then the watchdog starts it again
                server.check_running()
            time.sleep(CHECK_SECONDS)


class Interrupt:
    """Leaves the server in order on the first signal; others are counted, since they would break off the leaving."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: object) -> None:
        self.count += 1
        if self.count == 1:
            raise KeyboardInterrupt


def print_at_once(text: str) -> None:
    print(text, flush=True)


def description(server: Server) -> str:
    encryption = "" if server.tls is None else " (mutual TLS)" if server.tls.root_cert else " (TLS)"
    networks = "".join(f"network  {network}\n" for network in server.networks())
    return (
        f"gRPC     {server.grpc_address}{encryption}\n"
        f"HTTP     {server.http_address}\n"
        f"metrics  {server.metrics_url}\n"
        f"models   {', '.join(sorted(server.control.models()))}\n"
        f"{networks}"
        "ready; Ctrl-C stops"
    )


def server_from(args: argparse.Namespace) -> Server:
    return Server(
        args.model_repository,
        profile=args.profile,
        host=args.host,
        grpc_port=args.grpc_port,
        http_port=args.http_port,
        metrics_port=args.metrics_port,
        tls=tls_from(args),
        extra_args=args.tritonserver_options,
        log_file=args.log_file,
        ready_timeout_seconds=args.ready_timeout,
    )


def tls_from(args: argparse.Namespace) -> ServerTls | None:
    if not (args.tls_cert or args.tls_key or args.tls_ca):
        return None
    if not (args.tls_cert and args.tls_key):
        raise InvalidArgument("TLS needs both --tls-cert and --tls-key")
    return ServerTls(args.tls_cert, args.tls_key, args.tls_ca)
