"""Overload a server: check that it answers correctly or rejects quickly, and that it recovers afterwards.

python -m benchmarks.speed.overload --in-flight 64 --seconds 60 --json overload.json

Three phases: each question alone, many at a time, and each alone again.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, NamedTuple

import numpy as np

from benchmarks.options import add_json_option, add_server_options, build_program_parser, write_json
from benchmarks.speed.closed_loop import Load, run_load
from benchmarks.speed.measured_server import MEGABYTE, MeasuredServer, measure_pss, open_server
from benchmarks.speed.paths import EnsemblePath
from benchmarks.speed.question_set import Question, read_questions
from convai.client.client import ConvaiClient
from convai.client.errors import ConvaiError, Overloaded
from convai.program import run_program
from convai.tables import format_table

SAMPLE_SECONDS = 1.0
PAUSE_SECONDS = 0.5  # between a rejection and the next attempt
REJECTION_SECONDS = 1.0
GROWTH_RATIO = 1.1  # of memory, second half of the overload over the first
MOST_INSIDE = 40  # questions: 24 that wait, and those that are computed
RECOVERY_RATIO = 1.25  # of p50, after over before; other programs use the machine too
HEADERS = (
    *("phase", "sent", "answered", "rejected", "failed", "answers/s", "p50 [s]", "p99 [s]"),
    *("rejection p50 [s]", "slowest [s]", "peak PSS [MB]"),
)


@dataclass(frozen=True)
class Attempt:
    """One call of the ensemble; `text` holds transcript and answer, and is None without an answer."""

    question: int
    seconds: float
    text: tuple[str | None, str | None] | None = None
    is_rejected: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Phase:
    """`pss_bytes` is the server's memory, sampled once a second."""

    name: str
    seconds: float
    attempts: Sequence[Attempt]
    pss_bytes: Sequence[float] = ()

    @property
    def answered(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.text is not None]

    @property
    def rejected(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.is_rejected]

    @property
    def failed(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.error and not attempt.is_rejected]

    @property
    def questions_inside(self) -> float:
        """Mean number of accepted questions in the server, by Little's law: rate times time."""
        return sum(attempt.seconds for attempt in self.answered) / self.seconds

    def summarise(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "sent": len(self.attempts),
            "answered": len(self.answered),
            "rejected": len(self.rejected),
            "failed": len(self.failed),
            "answers_per_second": len(self.answered) / self.seconds,
            "p50_seconds": compute_percentile(self.answered, 50),
            "p99_seconds": compute_percentile(self.answered, 99),
            "rejection_p50_seconds": compute_percentile(self.rejected, 50),
            "slowest_rejection_seconds": compute_percentile(self.rejected, 100),
            "peak_pss_megabytes": max(self.pss_bytes, default=0) / MEGABYTE,
        }


def compute_percentile(attempts: Sequence[Attempt], rank: float) -> float | None:
    """Return a percentile of the attempts' durations; None without attempts."""
    return float(np.percentile([attempt.seconds for attempt in attempts], rank)) if attempts else None


class Verdict(NamedTuple):
    """One requirement, what was measured, and whether the requirement is met."""

    requirement: str
    measured: str
    is_met: bool


@dataclass(frozen=True)
class OverloadReport:
    before: Phase
    flood: Phase
    after: Phase
    same_processes: bool

    @property
    def phases(self) -> tuple[Phase, Phase, Phase]:
        return self.before, self.flood, self.after

    def judge(self) -> list[Verdict]:
        alone = {attempt.question: attempt.text for attempt in self.before.attempts}
        answered = [*self.flood.answered, *self.after.answered]
        wrong = sum(attempt.text != alone[attempt.question] for attempt in answered)
        failed = sum(len(phase.failed) for phase in self.phases)
        half = len(self.flood.pss_bytes) // 2
        early, late = (max(part, default=0) for part in (self.flood.pss_bytes[:half], self.flood.pss_bytes[half:]))
        slowest = compute_percentile(self.flood.rejected, 100) or 0.0
        inside = self.flood.questions_inside
        p50_before, p50_after = (compute_percentile(phase.answered, 50) for phase in (self.before, self.after))
        recovery = p50_after / p50_before if p50_after and p50_before else float("inf")
        memory = f"{early / MEGABYTE:.0f} MB, then {late / MEGABYTE:.0f} MB"
        verdicts = (
            ("no process dies", "all live" if self.same_processes else "some were replaced", self.same_processes),
            (f"memory grows at most {GROWTH_RATIO:g} times in the second half", memory, late <= GROWTH_RATIO * early),
            ("every answer equals the answer without load", f"{wrong} differ", wrong == 0),
            ("no error but rejections", f"{failed} failed", failed == 0),
            (f"rejections take at most {REJECTION_SECONDS:g} s", f"{slowest:.2f} s", slowest <= REJECTION_SECONDS),
            (f"at most {MOST_INSIDE} questions inside: they queue up front", f"{inside:.0f}", inside <= MOST_INSIDE),
            (f"p50 grows at most {RECOVERY_RATIO:g} times", f"{recovery:.2f} times", recovery <= RECOVERY_RATIO),
        )
        return [Verdict(*verdict) for verdict in verdicts]

    def format(self) -> str:
        errors = Counter(attempt.error for attempt in self.flood.attempts if attempt.error)
        marks = {True: "met   ", False: "missed"}
        parts = [
            format_table(HEADERS, [_format_cells(phase) for phase in self.phases]),
            "\n".join(f"{count} times: {message}" for message, count in errors.most_common()),
            "\n".join(f"{marks[one.is_met]}  {one.requirement}: {one.measured}" for one in self.judge()),
        ]
        return "\n\n".join(part for part in parts if part)

    def build_record(self) -> dict[str, Any]:
        return {
            "phases": [phase.summarise() for phase in self.phases],
            "verdicts": [verdict._asdict() for verdict in self.judge()],
        }


def _format_cells(phase: Phase) -> list[str]:
    figures = phase.summarise().values()
    return ["" if one is None else f"{one:.2f}" if isinstance(one, float) else str(one) for one in figures]


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.speed.overload", __doc__)
    parser.add_argument("--in-flight", type=int, default=64, help="requests at a time, default %(default)s")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the overload, default %(default)g")
    add_server_options(parser)
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="per call, default %(default)g")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    load = Load(args.in_flight, args.seconds)
    with open_server(args.server, args.model_repository, args.profile) as server:
        report = overload(server, read_questions(None), load, args.timeout)
    print(report.format())
    write_json(args.json, report.build_record())
    return 0 if all(verdict.is_met for verdict in report.judge()) else 1


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def overload(
    server: MeasuredServer, questions: Sequence[Question], load: Load, timeout_seconds: float
) -> OverloadReport:
    """Run the three phases. Every call waits for its answer, because Triton finishes abandoned requests too."""

    def ask(index: int) -> Attempt:
        start = time.perf_counter()
        try:
            answer = path.ask(questions[index]).answer
        except ConvaiError as error:
            is_rejected = isinstance(error, Overloaded)
            return Attempt(index, time.perf_counter() - start, is_rejected=is_rejected, error=str(error))
        return Attempt(index, time.perf_counter() - start, (answer.question, answer.answer))

    def ask_and_pause(index: int) -> Attempt:
        attempt = ask(index)
        if attempt.is_rejected:
            time.sleep(PAUSE_SECONDS)
        return attempt

    indices = range(len(questions))
    with ConvaiClient(server.address, timeout_seconds=timeout_seconds) as client:
        path = EnsemblePath(client)
        for question in questions[:2]:
            path.ask(question)  # the first requests pay for initialisation
        processes = server.list_processes()
        before = run_phase("alone, before", lambda: list(map(ask, indices)), server)
        flood = run_phase(
            f"{load.in_flight} in flight", lambda: run_load(ask_and_pause, indices, load).all_replies, server
        )
        after = run_phase("alone, after", lambda: list(map(ask, indices)), server)
        return OverloadReport(before, flood, after, same_processes=processes == server.list_processes())


def run_phase(name: str, work: Callable[[], Sequence[Attempt]], server: MeasuredServer) -> Phase:
    start = time.monotonic()
    with sample_memory(server) as samples:
        attempts = work()
    return Phase(name, time.monotonic() - start, attempts, samples)


@contextmanager
def sample_memory(server: MeasuredServer) -> Iterator[list[float]]:
    """Yield a list to which a thread appends the server's memory every second."""
    samples: list[float] = []
    is_over = Event()

    def keep_sampling() -> None:
        while not is_over.wait(SAMPLE_SECONDS):
            if pss_bytes := measure_pss(server.list_processes()):
                samples.append(pss_bytes)

    thread = Thread(target=keep_sampling, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
