"""Measure how fast spoken questions are answered: by the ensemble, step by step as in 2020, and with no server at all.

python -m benchmarks.speed.bench --json speed.json --plot speed.png
python -m benchmarks.speed.bench --loads 1 8 --requests 24 --paths ensemble floor
python -m benchmarks.speed.bench --network-delay 20
python -m benchmarks.speed.bench --rivals --paths ensemble
python -m benchmarks.speed.bench --beside 127.0.0.1:9001 --paths ensemble

Latency is NVIDIA SpeechSquad's: from the end of the question to the first byte of the answer's audio. A question is
sent when it has ended and its answer arrives whole, so it is the time of one call, until the answer is complete.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.speed.baselines.program import RIVALS
from convai.description.recognisers import JASPER
from convai.errors import InvalidArgument
from convai.generator.profiles import PROFILES
from convai.program import run_program

PATHS = ("ensemble", "step-by-step", "floor")
LOADS = (1, 2, 4, 8, 16)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=PATHS, help="what to compare (default: all)")
    parser.add_argument(
        "--loads", nargs="+", type=int, default=LOADS, metavar="N", help="requests in flight (default: 1 2 4 8 16)"
    )
    parser.add_argument("--requests", type=int, default=48, help="measured per path and load (default %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="send no more after so long, per path and load (default 120)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the medians count (default 3)")
    parser.add_argument(
        "--network-delay", type=float, default=0.0, metavar="MILLISECONDS", help="round trip to the server (default 0)"
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        help="questions that `python -m benchmarks.quality.evaluate speak` made (default: built in)",
    )
    parser.add_argument("--limit", type=int, help="use the first so many questions of the manifest")
    parser.add_argument("--server", metavar="HOST:PORT", help="measure a running server (default: start one)")
    parser.add_argument(
        "--beside", metavar="HOST:PORT", help="measure this running server too, of another version, say"
    )
    with_jasper = [
        name for name, profile in PROFILES.items() if profile.recogniser == JASPER
    ]  # whose steps all paths take
    parser.add_argument(
        "--rivals", nargs="*", choices=RIVALS, metavar="NAME", help=f"other ways to serve: {', '.join(RIVALS)} (all)"
    )
    parser.add_argument(
        "--rival-profile", choices=with_jasper, help="whose engines the rivals take (default: that of the server)"
    )
    parser.add_argument("--rival-threads", type=int, default=1, help="of each of their networks, default %(default)s")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=with_jasper, help="default %(default)s")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="per call, default %(default)g")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures there (.png, .svg, .pdf)")


def run(args: argparse.Namespace) -> int:
    check(args)
    # Imported here, because it takes seconds that `--help` and errors in the arguments need not wait for.
    from benchmarks.speed.question_set import asked_questions

    result = measure(args, asked_questions(args.manifest, args.limit))
    print(result.text())
    if args.json:
        args.json.write_text(result.json() + "\n")
    if args.plot:
        from benchmarks.speed.load_plot import plot_loads

        plot_loads(args.plot, result.medians, result.title)
    return 0


def check(args: argparse.Namespace) -> None:
    """Refuse now what would only fail after minutes."""
    for name in ("repeats", "limit", "rival_threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InvalidArgument(f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be at least 1")
    if args.network_delay < 0:
        raise InvalidArgument(f"--network-delay is {args.network_delay:g}; it must be 0 or more milliseconds")
    if args.network_delay and (args.rivals is not None or args.beside):
        raise InvalidArgument("--network-delay is the ensemble's alone; leave it out, or --rivals and --beside")
    for file in filter(None, (args.json, args.plot)):
        file.parent.mkdir(parents=True, exist_ok=True)


def measure(args: argparse.Namespace, questions: list):
    from benchmarks.speed.baselines.server_process import RivalSetup
    from benchmarks.speed.closed_loop import Load
    from benchmarks.speed.load_result import BenchResult
    from benchmarks.speed.load_run import Bench
    from benchmarks.speed.measured_server import measured_server
    from benchmarks.speed.opened_paths import Opener

    loads = [Load(in_flight, args.seconds, args.requests) for in_flight in args.loads]
    repository, profile = args.model_repository, args.profile
    with ExitStack() as stack:
        server = stack.enter_context(measured_server(args.server, repository, profile, args.network_delay / 1000))
        beside = stack.enter_context(measured_server(args.beside, repository, profile)) if args.beside else None
        rival_profile = args.rival_profile or profile
        rivals = RivalSetup(repository, rival_profile, args.rival_threads, args.manifest, args.limit)
        opener = Opener(server, beside, repository, profile, rivals, args.timeout)
        bench = Bench(stack.enter_context(opener.opened(path_names(args))), questions)
        rounds = bench.run(loads, args.repeats)
    return BenchResult(settings(args), questions, len(bench.wrong), server.ready_seconds, rounds)


def path_names(args: argparse.Namespace) -> list[str]:
    """What is compared, in the order of the tables; `--rivals` without names means all of them."""
    rivals = [] if args.rivals is None else args.rivals or RIVALS
    return [*args.paths, *(["beside"] if args.beside else []), *rivals]


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, as it goes into the JSON."""
    return {
        "paths": path_names(args),
        "rival_profile": args.rival_profile,
        "rival_threads": args.rival_threads,
        "loads": args.loads,
        "requests": args.requests,
        "seconds": args.seconds,
        "repeats": args.repeats,
        "network_delay_milliseconds": args.network_delay,
        "profile": args.profile,
        "manifest": args.manifest and str(args.manifest),
        "server": args.server,
        "beside": args.beside,
    }


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_program(build_parser(), run))
