"""What an overload did to a server, and whether it held."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.speed.load_table import MEGABYTE
from benchmarks.speed.server_memory import Memory
from benchmarks.speed.targets import Target
from benchmarks.tables import as_table

REFUSAL_SECONDS = 1.0
GROWTH_RATIO = 1.1  # of memory, second half of the overload over the first
MOST_INSIDE = 40  # questions: 32 in the queues of speech_features and jasper, and those that are computed
RECOVERY_RATIO = 1.25  # of p50, after over before; other programs use the machine too


@dataclass(frozen=True)
class Sample:
    moment: float  # of time.monotonic
    memory: Memory


@dataclass(frozen=True)
class Attempt:
    """One call of the ensemble; `text`, what was heard and answered, is None for one that got no answer."""

    question: int
    seconds: float
    text: tuple[str, str] | None
    is_refused: bool
    failure: str | None


@dataclass(frozen=True)
class Phase:
    name: str
    seconds: float
    attempts: tuple[Attempt, ...]
    memory: tuple[Memory, ...]

    @property
    def answered(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.text is not None]

    @property
    def refused(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.is_refused]

    @property
    def failed(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.failure and not attempt.is_refused]

    def peak_bytes(self, part: slice = slice(None)) -> int:
        """The most PSS that was seen; 0 if none was."""
        return max((memory.pss_bytes for memory in self.memory[part]), default=0)


@dataclass(frozen=True)
class OverloadReport:
    in_flight: int
    seconds: float
    phases: tuple[Phase, Phase, Phase]
    same_processes: bool

    @cached_property
    def wrong(self) -> int:
        """How many answers differ from the one that the same question got alone, before."""
        alone = {attempt.question: attempt.text for attempt in self.phases[0].attempts}
        return sum(attempt.text != alone[attempt.question] for phase in self.phases[1:] for attempt in phase.answered)

    @property
    def verdicts(self) -> list[Target]:
        before, flood, after = self.phases
        half = len(flood.memory) // 2
        early, late = flood.peak_bytes(slice(half)), flood.peak_bytes(slice(half, None))
        slowest = max((attempt.seconds for attempt in flood.refused), default=0.0)
        inside = questions_inside(flood)
        recovery = p50_ratio(after, before)
        failed = sum(len(phase.failed) for phase in self.phases)
        return [
            Target("no process dies", "all live" if self.same_processes else "some were replaced", self.same_processes),
            Target(
                f"memory stays within {GROWTH_RATIO:g} times, second half over first",
                f"{early / MEGABYTE:.0f} MB, then {late / MEGABYTE:.0f} MB",
                late <= GROWTH_RATIO * early,
            ),
            Target("every answer is that of the question asked alone", f"{self.wrong} differ", self.wrong == 0),
            Target("nothing fails but by refusal", f"{failed} failed", failed == 0),
            Target(f"refusals within {REFUSAL_SECONDS:g} s", f"slowest {slowest:.2f} s", slowest <= REFUSAL_SECONDS),
            Target(
                f"at most {MOST_INSIDE} questions inside: they queue up at the entrance",
                f"{inside:.0f}",
                inside <= MOST_INSIDE,
            ),
            Target(
                f"p50 afterwards at most {RECOVERY_RATIO:g} times that before",
                f"{recovery:.2f} times",
                recovery <= RECOVERY_RATIO,
            ),
        ]

    def text(self) -> str:
        headings = ["phase", "sent", "answered", "refused", "failed", "answers/s", "p50 [s]", "p99 [s]"]
        headings += ["refusal p50 [s]", "slowest [s]", "peak PSS [MB]"]
        parts = [
            as_table([headings, *(line(phase) for phase in self.phases)]),
            reasons(self.phases[1].attempts),
            "\n".join(str(verdict) for verdict in self.verdicts),
        ]
        return "\n\n".join(part for part in parts if part)

    def json(self) -> str:
        record = {
            "in_flight": self.in_flight,
            "seconds": self.seconds,
            "phases": [figures(phase) for phase in self.phases],
            "wrong": self.wrong,
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
        }
        return json.dumps(record, indent=2)


def figures(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "seconds": phase.seconds,
        "sent": len(phase.attempts),
        "answered": len(phase.answered),
        "refused": len(phase.refused),
        "failed": len(phase.failed),
        "answers_per_second": len(phase.answered) / phase.seconds,
        "p50_seconds": percentile(phase.answered, 50),
        "p99_seconds": percentile(phase.answered, 99),
        "refusal_p50_seconds": percentile(phase.refused, 50),
        "slowest_refusal_seconds": percentile(phase.refused, 100),
        "peak_pss_bytes": phase.peak_bytes(),
        "pss_bytes": [memory.pss_bytes for memory in phase.memory],
    }


def line(phase: Phase) -> list[str]:
    values = figures(phase)
    seconds = ("answers_per_second", "p50_seconds", "p99_seconds", "refusal_p50_seconds", "slowest_refusal_seconds")
    return [
        phase.name,
        *(str(values[name]) for name in ("sent", "answered", "refused", "failed")),
        *(f"{values[name]:.2f}" if values[name] is not None else "" for name in seconds),
        f"{phase.peak_bytes() / MEGABYTE:.0f}",
    ]


def questions_inside(phase: Phase) -> float:
    """How many of those that get an answer are in the server at once: Little's law, rate times time."""
    return sum(attempt.seconds for attempt in phase.answered) / phase.seconds


def p50_ratio(after: Phase, before: Phase) -> float:
    """Infinite if nothing was answered."""
    p50_after, p50_before = percentile(after.answered, 50), percentile(before.answered, 50)
    return p50_after / p50_before if p50_after and p50_before else float("inf")


def percentile(attempts: Sequence[Attempt], rank: float) -> float | None:
    return float(np.percentile([attempt.seconds for attempt in attempts], rank)) if attempts else None


def reasons(attempts: Sequence[Attempt]) -> str:
    """Each message that a request was refused or failed with, and how often."""
    counts = Counter(attempt.failure for attempt in attempts if attempt.failure)
    return "\n".join(f"{count} times: {message}" for message, count in counts.most_common())
