"""Break three servers in turn under a steady load, and count what their callers lose.

python -m convai.benchmarks.speed.chaos --requests 300
"""

import argparse
import sys
from pathlib import Path

from convai.generator.profiles import PROFILES
from convai.pipeline.program import run_program


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def run(args: argparse.Namespace) -> int:
    # Imported here, because it takes seconds that `--help` need not wait for.
    from convai.benchmarks.speed.chaos_faults import FAULTS
    from convai.benchmarks.speed.chaos_load import Load, table
    from convai.benchmarks.speed.chaos_run import run_faults

    load = Load(args.in_flight, args.requests, args.timeout)
    rows = run_faults(args.model_repository, args.profile, load, args.fault or list(FAULTS))
    print(table(rows))
    return 0 if all(row.is_harmless for row in rows) else 1


def parser() -> argparse.ArgumentParser:
    from convai.benchmarks.speed.chaos_faults import FAULTS

    parser = argparse.ArgumentParser(
        prog="chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this one; may be given several times")
    parser.add_argument("--in-flight", type=int, default=16, help="requests at once, default %(default)s")
    parser.add_argument("--requests", type=int, default=300, help="at least so many a fault, default %(default)s")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="per call, default %(default)g")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
