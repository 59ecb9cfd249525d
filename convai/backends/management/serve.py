"""Serve the model repository: start Triton, wait until all models are ready, warm up, and watch the server.

convai serve --profile cpu --grpc-port 8001 -- --log-verbose=1
"""

import argparse
import signal
import sys
import time
from functools import partial
from pathlib import Path

from convai.backends.management.control import ControlClient
from convai.backends.management.launcher import Server
from convai.backends.management.shutdown import shut_down
from convai.backends.management.tls import ServerTls
from convai.backends.management.watchdog import Watchdog
from convai.description.config_files import DEFAULT_PROFILE
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.description.wiring import wiring_of
from convai.errors import InvalidArgument

CHECK_SECONDS = 0.5
DRAIN_SECONDS = 20.0
ENSEMBLE = "convai_ensemble"
# A second of silence holds no question, so the pipeline speaks the fallback sentence: every step runs.
SILENT_QUESTION = {
    "question_audio": [0.0] * SAMPLE_RATE_HERTZ,
    "sample_rate": [SAMPLE_RATE_HERTZ],
    "context": ["Nothing was said."],
}
# Triton's Python backend takes 20 ms longer for the first request to each step, and the steps allocate memory: most of
# a second together. On a GPU, TorchScript also optimises Tacotron 2's loop during its first two runs.
WARM_UP_QUESTIONS = 2
WARM_UP_TIMEOUT_SECONDS = 600.0  # networks of NVIDIA's sizes take minutes on a CPU

HTTP_WARNING = (
    "warning: HTTP is open; any web page in a browser that reaches this port can crash Triton 2.51 with one request"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default=DEFAULT_PROFILE, help="configuration of every model (default %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: local only)")
    for name, port in {"grpc": 8001, "metrics": 8002}.items():
        text = f"default {port}; 0 picks a free one"
        parser.add_argument(f"--{name}-port", type=int, default=port, metavar="PORT", help=text)
    http_help = "also serve HTTP, which one request can crash (default: closed); 0 picks a free port"
    parser.add_argument("--http-port", type=int, metavar="PORT", help=http_help)
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="server certificate (PEM): gRPC only over TLS")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="private key (PEM) of --tls-cert")
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help="clients must show a certificate signed by this CA")
    control_help = "certificate (PEM) that convai itself shows under --tls-ca (default: --tls-cert)"
    parser.add_argument("--tls-control-cert", type=Path, metavar="FILE", help=control_help)
    parser.add_argument("--tls-control-key", type=Path, metavar="FILE", help="private key of --tls-control-cert")
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="append Triton's log (default: not kept)")
    parser.add_argument("--ready-timeout", type=float, default=180.0, metavar="SECONDS", help="default %(default)s")
    warm_up_help = "silent questions to ask before the server is ready, default %(default)s"
    parser.add_argument("--warm-up", type=int, default=WARM_UP_QUESTIONS, metavar="N", help=warm_up_help)
    drain_help = "on a stop, wait this long for requests in flight, default %(default)g; 0 drops them"
    parser.add_argument("--drain", type=float, default=DRAIN_SECONDS, metavar="SECONDS", help=drain_help)
    parser.add_argument("tritonserver_options", nargs="*", metavar="-- OPTIONS", help="passed on to tritonserver")


def run(args: argparse.Namespace) -> None:
    if args.drain < 0:
        raise InvalidArgument(f"--drain: expected 0 (stop at once) or more seconds, got {args.drain:g}")
    interrupt = Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        if args.http_port is not None:
            print(HTTP_WARNING, file=sys.stderr, flush=True)
        with make_server(args) as server:
            try:
                serve(server, args.warm_up)
            except KeyboardInterrupt:
                shut_down(server, args.drain, partial(print, flush=True), lambda: interrupt.count > 1)
                raise
    except KeyboardInterrupt:
        print("stopped")


def serve(server: Server, warm_up_questions: int) -> None:
    """Watch the server until a signal comes or it ends."""
    with Watchdog(server):
        warm_up(server.control, warm_up_questions)
        print(describe(server), flush=True)
        while True:
            server.check_running(may_crash=True)  # the watchdog restarts a crashed one
            time.sleep(CHECK_SECONDS)


def warm_up(control: ControlClient, questions: int = WARM_UP_QUESTIONS) -> None:
    """Send silent questions through the pipeline, one after another, if the server has it.

    An error is only printed: the first caller gets the step's own message.
    """
    try:
        if ENSEMBLE in control.ready_models():
            inputs = {
                tensor.name: (tensor.dtype, SILENT_QUESTION[tensor.name]) for tensor in wiring_of(ENSEMBLE).inputs
            }
            for _ in range(questions):
                control.infer(ENSEMBLE, inputs, ["answer_audio"], WARM_UP_TIMEOUT_SECONDS)
    except OSError as error:
        print(f"warm-up: {error}", file=sys.stderr, flush=True)


class Interrupt:
    """Raises KeyboardInterrupt on the first signal; counts the others, which must not break off the shutdown."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: object) -> None:
        self.count += 1
        if self.count == 1:
            raise KeyboardInterrupt


def describe(server: Server) -> str:
    encryption = "" if server.tls is None else " (mutual TLS)" if server.tls.root_cert else " (TLS)"
    http = f"HTTP     {server.http_address}\n" if server.http_address else ""
    networks = "".join(f"network  {network}\n" for network in server.networks())
    return (
        f"gRPC     {server.grpc_address}{encryption}\n"
        f"{http}"
        f"metrics  {server.metrics_url}\n"
        f"models   {', '.join(sorted(server.control.models()))}\n"
        f"{networks}"
        "ready; Ctrl-C stops"
    )


def make_server(args: argparse.Namespace) -> Server:
    return Server(
        args.model_repository,
        profile=args.profile,
        host=args.host,
        grpc_port=args.grpc_port,
        http_port=args.http_port,
        metrics_port=args.metrics_port,
        tls=make_tls(args),
        extra_args=args.tritonserver_options,
        log_file=args.log_file,
        ready_timeout_seconds=args.ready_timeout,
    )


def make_tls(args: argparse.Namespace) -> ServerTls | None:
    files = (args.tls_cert, args.tls_key, args.tls_ca, args.tls_control_cert, args.tls_control_key)
    if not any(files):
        return None
    if not (args.tls_cert and args.tls_key):
        raise InvalidArgument("TLS needs both --tls-cert and --tls-key")
    return ServerTls(*files)
