"""A steady load on several servers through one client, and what became of its requests while something broke."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from threading import Event

from benchmarks.speed.chaos_questions import Ask, is_same
from benchmarks.tables import as_table
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.errors import ConvaiError
from convai.errors import InvalidArgument

HEADS = ["fault", "asked", "lost", "wrong", "slowest over usual", "left behind", "bar"]
ENOUGH_SECONDS = 120.0  # for the requests that a short fault leaves to be sent


@dataclass(frozen=True)
class Load:
    in_flight: int
    requests: int  # at least so many
    timeout_seconds: float

    def __post_init__(self) -> None:
        for name in ("in_flight", "requests"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class Asked:
    """One request: when it was sent, how long its caller waited, and the error that it met, or the wrong answer."""

    moment: float
    seconds: float
    failure: str | None = None
    wrong: str | None = None


@dataclass
class Log:
    """All requests of a load so far; `usual_seconds` is how long the slowest takes when nothing is broken."""

    usual_seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    def seconds(self, since: float = 0.0) -> list[float]:
        """How long each caller waited, shortest first, of those who asked at the moment `since` or later."""
        return sorted(one.seconds for one in self.asked if one.moment >= since)


@dataclass(frozen=True)
class Finding:
    """What else was seen of a fault, and whether that is as it has to be."""

    text: str = ""
    is_good: bool = True


@dataclass(frozen=True)
class Row:
    """What a fault cost."""

    fault: str
    log: Log
    left_behind: int
    finding: Finding
    allowed_delay_seconds: float = inf

    @property
    def lost(self) -> int:
        return sum(one.failure is not None for one in self.log.asked)

    @property
    def wrong(self) -> int:
        return sum(one.wrong is not None for one in self.log.asked)

    @property
    def delay_seconds(self) -> float:
        return self.log.seconds()[-1] - self.log.usual_seconds

    @property
    def is_harmless(self) -> bool:
        is_in_time = self.delay_seconds < self.allowed_delay_seconds
        return self.finding.is_good and is_in_time and not (self.lost or self.wrong or self.left_behind)

    def cells(self) -> list[str]:
        counts = (len(self.log.asked), self.lost, self.wrong)
        verdict = "met" if self.is_harmless else "missed"
        return [self.fault, *map(str, counts), f"{self.delay_seconds:+.1f} s", str(self.left_behind), verdict]


def line(row: Row) -> str:
    return ", ".join(f"{head} {cell}" for head, cell in zip(HEADS, row.cells(), strict=True))


def table(rows: Sequence[Row]) -> str:
    notes = [f"usual: the slowest answer takes {rows[0].log.usual_seconds:.1f} s"]
    notes += [f"{row.fault}: {row.finding.text}" for row in rows if row.finding.text]
    failures = Counter(one.failure for row in rows for one in row.log.asked if one.failure)
    lost = [f"lost {count}: {failure}" for failure, count in failures.most_common(5)]
    wrong = [f"{row.fault}, wrong: {one.wrong}" for row in rows for one in row.log.asked if one.wrong]
    return "\n".join([as_table([HEADS, *(row.cells() for row in rows)]), *notes, *lost, *wrong[:5]])


@contextmanager
def running(
    client: ConvaiClient, expected: Sequence[tuple[Ask, Answer]], load: Load, usual_seconds: float = 0.0
) -> Iterator[Log]:
    """Ask the questions in turn while the block runs, and until there were enough; `expected` has the answers."""
    log, is_over = Log(usual_seconds), Event()

    def keep_asking(number: int) -> None:
        while not is_over.is_set():
            log.asked.append(asked(client, *expected[number % len(expected)]))
            number += 1

    with ThreadPoolExecutor(load.in_flight) as pool:
        workers = [pool.submit(keep_asking, number) for number in range(load.in_flight)]
        try:
            yield log
            wait_until(lambda: len(log.asked) >= load.requests, ENOUGH_SECONDS)
        finally:
            is_over.set()
    for worker in workers:
        worker.result()


def asked(client: ConvaiClient, ask: Ask, expected: Answer) -> Asked:
    moment = time.monotonic()
    try:
        answer = ask(client)
    except ConvaiError as error:
        return Asked(moment, time.monotonic() - moment, failure=str(error))
    wrong = None if is_same(answer, expected) else f"{answer.answer!r} instead of {expected.answer!r}"
    return Asked(moment, time.monotonic() - moment, wrong=wrong)


def wait_until(is_true: Callable[[], bool], seconds: float, poll_seconds: float = 0.1) -> bool:
    """Whether something became true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (came_true := is_true()) and time.monotonic() < deadline:
        time.sleep(poll_seconds)
    return came_true
