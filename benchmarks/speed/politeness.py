"""Measure how much a question about the longest text allowed delays short ones.

python -m convai.benchmarks.speed.politeness --json politeness.json

Short questions are asked one after another, alone and while one long question is always in flight, in turns.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from convai.benchmarks.speed.measured_server import measured_server
from convai.benchmarks.speed.question_set import Question, default_contexts, default_questions
from convai.client.client import ConvaiClient
from convai.generator.profiles import PROFILES
from convai.pipeline.program import run_program

LONG_CONTEXT_BYTES = 32 * 1024
SHORT_CONTEXT_CHARACTERS = 1200  # a paragraph and a half
ALLOWED_DELAY = 2.0  # of a short question, in multiples of its own time


@dataclass(frozen=True)
class Politeness:
    """Medians over all rounds, in seconds."""

    short_alone: float
    short_beside_long: float
    long_alone: float
    long_beside_short: float

    @property
    def delay(self) -> float:
        return self.short_beside_long / self.short_alone - 1

    def text(self) -> str:
        verdict = "met" if self.delay <= ALLOWED_DELAY else "missed"
        return (
            f"short question: {1000 * self.short_alone:.0f} ms alone,"
            f" {1000 * self.short_beside_long:.0f} ms beside a long one\n"
            f"long question: {1000 * self.long_alone:.0f} ms alone,"
            f" {1000 * self.long_beside_short:.0f} ms beside short ones\n"
            f"{verdict}: short ones are delayed by {self.delay:.2f} times their own time, allowed are"
            f" {ALLOWED_DELAY:g}"
        )


def measure(client: ConvaiClient, short: list[Question], long: Question, rounds: int) -> Politeness:
    for question in (*short[:3], long):
        seconds(client, question)  # warm-up
    alone, beside, long_alone, long_beside = [], [], [], []
    for _ in range(rounds):
        alone += [seconds(client, question) for question in short]
        long_alone.append(seconds(client, long))
        with always_in_flight(client, long) as long_times:
            beside += [seconds(client, question) for question in short]
        long_beside += long_times
    return Politeness(*(statistics.median(times) for times in (alone, beside, long_alone, long_beside)))


def seconds(client: ConvaiClient, question: Question) -> float:
    start = time.perf_counter()
    client.ask(question.audio, sample_rate=question.sample_rate, context=question.context)
    return time.perf_counter() - start


@contextmanager
def always_in_flight(client: ConvaiClient, question: Question) -> Iterator[list[float]]:
    """Ask a question again and again beside whatever is done; yields the times it takes, as they come."""
    times: list[float] = []
    enough = threading.Event()

    def keep_asking() -> None:
        while not enough.is_set():
            times.append(seconds(client, question))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        yield times
    finally:
        enough.set()
        thread.join()


def short_questions() -> list[Question]:
    return [question for question in default_questions() if len(question.context) <= SHORT_CONTEXT_CHARACTERS]


def long_question() -> Question:
    """A usual question about as much text as a context may hold."""
    asked = default_questions()[0]
    text = " ".join(default_contexts() * 2)
    return Question(asked.audio, asked.sample_rate, text.encode()[:LONG_CONTEXT_BYTES].decode(errors="ignore"))


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convai.benchmarks.speed.politeness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of short questions, default %(default)s")
    parser.add_argument("--server", metavar="HOST:PORT", help="ask a running server (default: start one)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="per call, default %(default)g")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> int:
    with (
        measured_server(args.server, args.model_repository, args.profile) as server,
        ConvaiClient(server.address, timeout_seconds=args.timeout) as client,
    ):
        politeness = measure(client, short_questions(), long_question(), args.rounds)
    print(politeness.text())
    if args.json:
        args.json.write_text(json.dumps(asdict(politeness) | {"delay": politeness.delay}, indent=2) + "\n")
    return 0 if politeness.delay <= ALLOWED_DELAY else 1


if __name__ == "__main__":
    sys.exit(main())
