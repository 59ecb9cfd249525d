"""Break three servers in turn under a steady load, and count the requests that callers lose.

python -m benchmarks.speed.chaos --requests 300
python -m benchmarks.speed.chaos --audio --fault "one killed"
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.options import build_program_parser
from benchmarks.speed.chaos_faults import FAULTS, SETTLE_SECONDS, Stage
from benchmarks.speed.chaos_load import (
    HEADERS,
    Ask,
    ChaosLoad,
    ChaosQuestions,
    FaultResult,
    build_audio_questions,
    build_text_questions,
    format_results,
    keep_load,
)
from benchmarks.speed.chaos_server import ChaosServer, write_subset
from convai.backends.management.launcher import resolve_ports
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.generator.profiles import PROFILES
from convai.program import run_program

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.speed.chaos", __doc__)
    parser.add_argument("--fault", action="append", choices=FAULTS, help="inject only this fault; may be repeated")
    parser.add_argument("--in-flight", type=int, default=16, help="requests at a time, default %(default)s")
    parser.add_argument("--requests", type=int, default=300, help="at least, per fault, default %(default)s")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="per call, default %(default)g")
    audio_help = "ask the recorded examples, through the whole pipeline (default: text questions to BERT)"
    parser.add_argument("--audio", action="store_true", help=audio_help)
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    return parser


def run(args: argparse.Namespace) -> int:
    load = ChaosLoad(args.in_flight, args.requests, args.timeout)
    questions = build_audio_questions() if args.audio else build_text_questions()
    results = inject_faults(args.model_repository, args.profile, load, questions, args.fault or list(FAULTS))
    print(format_results(results))
    return 0 if all(result.is_harmless for result in results) else 1


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def inject_faults(
    model_repository: Path, profile: str, load: ChaosLoad, questions: ChaosQuestions, faults: Sequence[str]
) -> list[FaultResult]:
    """Return a result for each fault. Expected answers are those of the servers before the first fault."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ensembles = {questions.ensemble, build_text_questions().ensemble}  # "one overloaded" always sends texts
        write_subset(model_repository, ensembles, Path(folder))
        (port,) = resolve_ports(HOSTS[0], {"--grpc-port": 0})
        servers = [ChaosServer(Path(folder), profile, host, port) for host in HOSTS]
        stage = Stage(servers, questions.ensemble)
        start_servers(servers, stack)
        addresses = [server.address for server in servers]
        client = stack.enter_context(ConvaiClient(addresses, timeout_seconds=load.timeout_seconds))
        expected = [(ask, ask(client)) for ask in questions.asks]
        with keep_load(client, expected, load) as log:
            time.sleep(SETTLE_SECONDS)
        return [inject_fault(name, stage, client, expected, load, log.sort_seconds()[-1]) for name in faults]


def start_servers(servers: Sequence[ChaosServer], stack: ExitStack) -> None:
    """Start them in parallel; `stack` stops those that started, even if another one fails."""
    with ThreadPoolExecutor(len(servers)) as pool:
        starts = [pool.submit(server.start) for server in servers]
    for server, start in zip(servers, starts, strict=True):
        if start.exception() is None:
            stack.callback(server.stop)
    for start in starts:
        start.result()


def inject_fault(
    name: str,
    stage: Stage,
    client: ConvaiClient,
    expected: Sequence[tuple[Ask, Answer]],
    load: ChaosLoad,
    usual_seconds: float,
) -> FaultResult:
    before = sum(server.left_behind for server in stage.servers)
    with keep_load(client, expected, load, usual_seconds) as log:
        finding = FAULTS[name].inject(stage, log)
    left_behind = sum(server.left_behind for server in stage.servers) - before
    result = FaultResult(name, log, left_behind, finding, FAULTS[name].limit_seconds)
    line = ", ".join(f"{header} {cell}" for header, cell in zip(HEADERS, result.format_cells(), strict=True))
    print(line, file=sys.stderr, flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
