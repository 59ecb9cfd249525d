"""Serve the pipeline without our Triton ensemble until standard input closes; the benchmark starts this program.

python -m benchmarks.speed.baselines.server fastapi --port 8100
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.options import build_program_parser
from benchmarks.speed.baselines import BASELINES
from benchmarks.speed.in_process import InProcessPipeline, load_pipeline
from benchmarks.speed.paths import build_request
from benchmarks.speed.question_set import read_questions
from convai.program import run_program

HOST = "127.0.0.1"
READY = "ready"


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.speed.baselines.server", __doc__)
    parser.add_argument("baseline", choices=BASELINES)
    parser.add_argument("--port", type=int, required=True, help="HTTP port; gRPC port of pytriton")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", help="default %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of each network, default %(default)s")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="recordings to warm up with")
    parser.add_argument("--limit", type=int, metavar="N", help="use only the first N recordings")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), help="one replica for each")
    return parser


def run(args: argparse.Namespace) -> None:
    # Imported here, because a machine need not have the packages of every baseline.
    import_module(f"benchmarks.speed.baselines.{args.baseline}_server").serve(args)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def load_warm_pipeline(args: argparse.Namespace) -> InProcessPipeline:
    """Load the pipeline and ask every question once, so that no measured request pays for initialisation."""
    pipeline = load_pipeline(args.model_repository, args.profile, args.threads)
    for question in read_questions(args.manifest, args.limit):
        pipeline.run(build_request(question))
    return pipeline


def serve_until_stdin_closes() -> None:
    """Report readiness; return when the parent process closes our input or has died."""
    # One write with line breaks on both sides, because libraries print from other threads.
    os.write(sys.stdout.fileno(), f"\n{READY}\n".encode())
    sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main())
