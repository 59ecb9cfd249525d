"""Measure streams beside whole answers: the first sound, long texts and their memory, gaps when several play at once.

python -m benchmarks.speed.streaming --json streaming.json
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from convai.generator.profiles import PROFILES
from convai.program import run_program


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def run(args: argparse.Namespace) -> int:
    # Imported here, because it takes seconds that `--help` need not wait for.
    from benchmarks.speed.measured_server import measured_server
    from benchmarks.speed.streaming_run import measure

    with measured_server(args.server, args.model_repository, args.profile) as server:
        report = measure(server, args.rounds, args.characters, args.streams)
    print(report.text())
    if args.json:
        args.json.write_text(json.dumps(asdict(report), indent=2) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streaming", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="pairs of whole and streamed, default %(default)s")
    parser.add_argument("--characters", type=int, default=10_000, help="of the long text, default %(default)s")
    parser.add_argument("--streams", type=int, default=8, help="that play at once, default %(default)s")
    parser.add_argument("--server", metavar="HOST:PORT", help="measure a running server (default: start one)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
