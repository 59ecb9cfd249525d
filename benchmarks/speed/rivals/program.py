"""What the rivals' servers have in common: how they are told what to serve, say that they are ready, and end."""

import argparse
import sys
from pathlib import Path

from convai.benchmarks.speed.in_process import InProcess, whole_pipeline
from convai.benchmarks.speed.paths import request_of
from convai.benchmarks.speed.question_set import default_questions

HOST = "127.0.0.1"
READY = "ready"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Started by `convai bench --rivals`; ends when its input does.")
    parser.add_argument("--model-repository", type=Path, required=True)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--threads", type=int, required=True, help="of each network")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args()


def warm_pipeline(args: argparse.Namespace) -> InProcess:
    """The whole pipeline, after it has done what every process does once."""
    pipeline = whole_pipeline(args.model_repository, args.profile, args.threads)
    for question in default_questions():
        pipeline.walk(request_of(question))
    return pipeline


def serve_until_told() -> None:
    """Say that questions may come, and return once whoever started this process closes its input or has died."""
    print(READY, flush=True)
    sys.stdin.read()
