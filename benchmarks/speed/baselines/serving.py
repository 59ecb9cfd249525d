"""What the rivals' servers have in common: they warm up, say that they are ready, and end when they are told."""

import argparse
import os
import sys

from benchmarks.speed.in_process import InProcess, whole_pipeline
from benchmarks.speed.paths import request_of
from benchmarks.speed.question_set import asked_questions

HOST = "127.0.0.1"
READY = "ready"


def warm_pipeline(args: argparse.Namespace) -> InProcess:
    """The whole pipeline, after it has done what every process does once."""
    pipeline = whole_pipeline(args.model_repository, args.profile, args.threads)
    for question in asked_questions(args.manifest, args.limit):
        pipeline.walk(request_of(question))
    return pipeline


def serve_until_told() -> None:
    """Say that questions may come, and return once whoever started this process closes its input or has died."""
    # In one piece and on a line of its own, whatever libraries write from other threads meanwhile.
    os.write(sys.stdout.fileno(), f"\n{READY}\n".encode())
    sys.stdin.read()
