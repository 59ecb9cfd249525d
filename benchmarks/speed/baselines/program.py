"""Serve the pipeline by other means than Triton, until the input is closed: what `convai bench --rivals` starts.

python -m benchmarks.speed.baselines.program fastapi --port 8100
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from convai.program import run_program

RIVALS = ("fastapi", "ray", "pytriton")


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    # Imported here, because not all of them need be installed.
    import_module(f"benchmarks.speed.baselines.{args.rival}_server").serve(args)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rival", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rival", choices=RIVALS)
    parser.add_argument("--port", type=int, required=True, help="of HTTP; of gRPC for pytriton")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", help="default %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of each network, default %(default)s")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="recordings to warm up with")
    parser.add_argument("--limit", type=int, metavar="N", help="the first so many of them")
    parser.add_argument(
        "--cores", type=int, default=len(os.sched_getaffinity(0)), help="each with a replica or instance (all)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
