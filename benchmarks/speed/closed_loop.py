"""Keeps a fixed number of requests in flight: each answer is followed at once by the next question."""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from convai.errors import InvalidArgument

QuestionT = TypeVar("QuestionT")
ReplyT = TypeVar("ReplyT")


@dataclass(frozen=True)
class Load:
    """How many requests are in flight, and how many of them count; fewer if `seconds` are over before."""

    in_flight: int
    seconds: float
    requests: int = sys.maxsize

    def __post_init__(self):
        for name in ("in_flight", "requests"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.seconds > 0:
            raise InvalidArgument(f"seconds is {self.seconds}; it must be above 0")

    @property
    def lead_in(self) -> int:
        """Requests that are sent first and do not count: they all start at once, which no later ones do."""
        return self.in_flight if self.in_flight > 1 else 0


@dataclass(frozen=True)
class LoadOutcome(Generic[ReplyT]):
    """What came of a load.

    Attributes
    ----------
    counted : the replies that count, with the index of their question
    all_replies : these, and those sent before and after to keep up the load
    answers_per_second : while the counted ones were in flight
    """

    counted: tuple[tuple[int, ReplyT], ...]
    all_replies: tuple[ReplyT, ...]
    answers_per_second: float


class Tickets(Generic[ReplyT]):
    """Numbers the requests, and tells when no more are needed.

    Requests go on being sent while the last ones that count are in flight, so that these meet the same load as others.
    """

    def __init__(self, load: Load) -> None:
        self.load = load
        self.lock = Lock()
        self.deadline = time.monotonic() + load.seconds
        self.sent = 0
        self.pending: set[int] = set()  # numbers of requests that count and are in flight
        self.counted: dict[int, ReplyT] = {}  # their replies by number
        self.answered: list[tuple[float, ReplyT]] = []  # every reply with its moment
        self.counting_since: float | None = None
        self.counting_until: float | None = None
        self.failed = False

    def take(self) -> int | None:
        """The number of the next request; None when no more are needed."""
        with self.lock:
            number = self.sent
            counts = self._counts(number)
            if self.failed or (self.counted and not self.pending and not counts):
                return None
            self.sent += 1
            if counts:
                self.counting_since = self.counting_since or time.monotonic()
                self.pending.add(number)
            return number

    def give_back(self, number: int, reply: ReplyT) -> None:
        with self.lock:
            moment = time.monotonic()
            self.answered.append((moment, reply))
            if number in self.pending:
                self.pending.remove(number)
                self.counted[number] = reply
                self.counting_until = moment

    def _counts(self, number: int) -> bool:
        in_time = time.monotonic() < self.deadline or self.counting_since is None  # one counts in any case
        return in_time and 0 <= number - self.load.lead_in < self.load.requests

    def answers_per_second(self) -> float:
        since, until = self.counting_since, self.counting_until
        assert since is not None and until is not None  # one request counts in any case
        return sum(since < moment <= until for moment, _ in self.answered) / (until - since)


def run_load(ask: Callable[[QuestionT], ReplyT], questions: Sequence[QuestionT], load: Load) -> LoadOutcome[ReplyT]:
    """Ask `questions` in turn, around and around; raises what `ask` raises, once what is in flight has ended."""
    tickets = Tickets[ReplyT](load)

    def keep_asking() -> None:
        while (number := tickets.take()) is not None:
            try:
                tickets.give_back(number, ask(questions[number % len(questions)]))
            except BaseException:
                tickets.failed = True
                raise

    with ThreadPoolExecutor(load.in_flight) as pool:
        workers = [pool.submit(keep_asking) for _ in range(load.in_flight)]
    for worker in workers:
        worker.result()
    counted = tuple((number % len(questions), reply) for number, reply in sorted(tickets.counted.items()))
    return LoadOutcome(counted, tuple(reply for _, reply in tickets.answered), tickets.answers_per_second())
