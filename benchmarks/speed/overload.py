"""Overload a server for a while and see that it answers rightly or refuses quickly, and is itself again afterwards.

python -m benchmarks.speed.overload --in-flight 64 --seconds 60 --json overload.json
"""

import argparse
import sys
from pathlib import Path

from convai.generator.profiles import PROFILES
from convai.program import run_program


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def run(args: argparse.Namespace) -> int:
    # Imported here, because it takes seconds that `--help` need not wait for.
    from benchmarks.speed.closed_loop import Load
    from benchmarks.speed.measured_server import measured_server
    from benchmarks.speed.overload_run import overload
    from benchmarks.speed.question_set import default_questions

    load = Load(args.in_flight, args.seconds)
    with measured_server(args.server, args.model_repository, args.profile) as server:
        report = overload(server, default_questions(), load, args.timeout)
    print(report.text())
    if args.json:
        args.json.write_text(report.json() + "\n")
    return 0 if all(verdict.is_met for verdict in report.verdicts) else 1


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="overload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--in-flight", type=int, default=64, help="requests at once, default %(default)s")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to send more, default %(default)g")
    parser.add_argument("--server", metavar="HOST:PORT", help="overload a running server (default: start one)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="per call, default %(default)g")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
