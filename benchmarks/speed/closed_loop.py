"""Keeps a fixed number of requests in flight: each answer is followed at once by the next question."""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from convai.errors import InvalidArgument

QuestionT = TypeVar("QuestionT")
ReplyT = TypeVar("ReplyT")


@dataclass(frozen=True)
class Load:
    """`in_flight` requests at a time, until `requests` have been measured or `seconds` are over."""

    in_flight: int
    seconds: float
    requests: int = sys.maxsize

    def __post_init__(self):
        for name in ("in_flight", "requests"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.seconds > 0:
            raise InvalidArgument(f"seconds: expected more than 0, got {self.seconds}")

    @property
    def lead_in(self) -> int:
        """The number of first requests, which are not measured: unlike all later ones, they start at once."""
        return self.in_flight if self.in_flight > 1 else 0


@dataclass(frozen=True)
class LoadOutcome(Generic[ReplyT]):
    """
    Attributes
    ----------
    measured : index of the question and reply of each measured request
    all_replies : these, and the replies before and after them that kept up the load
    answers_per_second : while the measured requests were in flight
    """

    measured: tuple[tuple[int, ReplyT], ...]
    all_replies: tuple[ReplyT, ...]
    answers_per_second: float


def run_load(ask: Callable[[QuestionT], ReplyT], questions: Sequence[QuestionT], load: Load) -> LoadOutcome[ReplyT]:
    """Ask `questions` in turn, over and over; raises what `ask` raises, once the other requests have ended.

    Requests are sent until the last measured one is answered, so that it meets the same load as the others.
    """
    numbers = count()
    deadline = time.monotonic() + load.seconds
    last = load.lead_in + load.requests
    replies: dict[int, tuple[float, float, ReplyT]] = {}  # by number: start, end, reply
    failures: list[BaseException] = []

    def is_over() -> bool:
        answered = sum(load.lead_in <= number < last for number in list(replies))
        return bool(failures) or answered >= load.requests or (answered > 0 and time.monotonic() > deadline)

    def keep_asking() -> None:
        while not is_over():
            number = next(numbers)
            start = time.monotonic()
            try:
                reply = ask(questions[number % len(questions)])
            except BaseException as error:
                failures.append(error)
                raise
            replies[number] = (start, time.monotonic(), reply)

    with ThreadPoolExecutor(load.in_flight) as pool:
        workers = [pool.submit(keep_asking) for _ in range(load.in_flight)]
    for worker in workers:
        worker.result()
    measured = {number: replies[number] for number in sorted(replies) if load.lead_in <= number < last}
    since, until = min(start for start, _, _ in measured.values()), max(end for _, end, _ in measured.values())
    answers = sum(since < end <= until for _, end, _ in replies.values())
    return LoadOutcome(
        tuple((number % len(questions), reply) for number, (_, _, reply) in measured.items()),
        tuple(reply for _, _, reply in replies.values()),
        answers / (until - since),
    )
