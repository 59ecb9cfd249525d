"""Break three servers in turn under a steady load, and count what their callers lose.

python -m benchmarks.speed.chaos --requests 300
python -m benchmarks.speed.chaos --spoken --fault "one killed"
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from convai.errors import InvalidArgument
from convai.generator.profiles import PROFILES
from convai.program import run_program


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def run(args: argparse.Namespace) -> int:
    # Imported here, because it takes seconds that `--help` need not wait for.
    from benchmarks.speed.chaos_load import Load, table
    from benchmarks.speed.chaos_questions import spoken, written
    from benchmarks.speed.chaos_run import run_faults

    load = Load(args.in_flight, args.requests, args.timeout)
    faults = possible_faults(args.fault)
    rows = run_faults(args.model_repository, args.profile, load, spoken() if args.spoken else written(), faults)
    print(table(rows))
    return 0 if all(row.is_harmless for row in rows) else 1


def possible_faults(wanted: Sequence[str] | None) -> Sequence[str]:
    """What can be done on this machine; the program begins anew if one of them takes a network of its own."""
    from benchmarks.speed import chaos_network
    from benchmarks.speed.chaos_faults import CUT_OFF, FAULTS

    faults = wanted or list(FAULTS)
    if CUT_OFF not in faults or chaos_network.is_own():
        return faults
    if chaos_network.is_possible():
        chaos_network.start_anew()
    reason = f"{CUT_OFF!r} needs a network namespace: programs `unshare` and `ip`, and a machine that allows it"
    if wanted:
        raise InvalidArgument(reason)
    print(f"left out: {reason}", file=sys.stderr, flush=True)
    return [fault for fault in faults if fault != CUT_OFF]


def parser() -> argparse.ArgumentParser:
    from benchmarks.speed.chaos_faults import FAULTS

    parser = argparse.ArgumentParser(
        prog="chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this one; may be given several times")
    parser.add_argument("--in-flight", type=int, default=16, help="requests at once, default %(default)s")
    parser.add_argument("--requests", type=int, default=300, help="at least so many a fault, default %(default)s")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="per call, default %(default)g")
    spoken_help = "ask the recorded examples, through the whole pipeline (default: written questions, of BERT alone)"
    parser.add_argument("--spoken", action="store_true", help=spoken_help)
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
