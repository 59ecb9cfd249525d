"""A steady load on several servers through one client, and what its callers notice of a fault."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from threading import Event

from benchmarks.speed.paths import is_same_answer
from benchmarks.speed.question_set import Question, build_default_contexts, read_questions
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.errors import ConvaiError
from convai.errors import InvalidArgument
from convai.package_data import packaged
from convai.tables import format_table

EXAMPLES: Path = packaged("client", "examples", "examples.jsonl")
QUESTION = "What is he often called?"
CONTEXTS = 8  # of one sentence or three, which BERT answers quickly
HEADERS = ["fault", "asked", "lost", "wrong", "slowest over usual", "left behind", "verdict"]
EXTRA_SECONDS = 120.0  # to send the remaining requests after a short fault

Ask = Callable[[ConvaiClient], Answer]


@dataclass(frozen=True)
class ChaosLoad:
    in_flight: int
    requests: int  # at least, per fault
    timeout_seconds: float

    def __post_init__(self) -> None:
        for name in ("in_flight", "requests"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name}: expected at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class ChaosQuestions:
    """An ensemble and questions that it answers."""

    ensemble: str
    asks: Sequence[Ask]


def build_text_questions() -> ChaosQuestions:
    """Return text questions, for which only BERT and its steps are needed."""

    def ask_about(context: str) -> Ask:
        return lambda client: client.answer_text(QUESTION, context)

    return ChaosQuestions("question_answering", [ask_about(context) for context in build_default_contexts()[:CONTEXTS]])


def build_audio_questions() -> ChaosQuestions:
    """Return the recorded examples, for which the whole pipeline is needed."""

    def ask_about(question: Question) -> Ask:
        return lambda client: client.ask(question.audio, sample_rate=question.sample_rate, context=question.context)

    return ChaosQuestions("convai_ensemble", [ask_about(question) for question in read_questions(EXAMPLES)])


@dataclass(frozen=True)
class Attempt:
    """One request: when it was sent, how long its caller waited, and its error or its wrong answer."""

    sent: float  # of time.monotonic
    seconds: float
    error: str | None = None
    wrong: str | None = None


@dataclass
class Log:
    """The requests of a load so far; `usual_seconds` is the slowest without a fault."""

    usual_seconds: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)

    def sort_seconds(self, since: float = 0.0) -> list[float]:
        """Return the durations of the requests that were sent at `since` or later, shortest first."""
        return sorted(attempt.seconds for attempt in self.attempts if attempt.sent >= since)


@dataclass(frozen=True)
class Finding:
    """A remark about a fault beyond the counts, and whether it is as required."""

    text: str = ""
    is_good: bool = True


@dataclass(frozen=True)
class FaultResult:
    """What a fault cost; `limit_seconds` is for the slowest request, above the usual."""

    fault: str
    log: Log
    left_behind: int
    finding: Finding
    limit_seconds: float = inf

    @property
    def lost(self) -> int:
        return sum(attempt.error is not None for attempt in self.log.attempts)

    @property
    def wrong(self) -> int:
        return sum(attempt.wrong is not None for attempt in self.log.attempts)

    @property
    def delay_seconds(self) -> float:
        return self.log.sort_seconds()[-1] - self.log.usual_seconds

    @property
    def is_harmless(self) -> bool:
        is_in_time = self.delay_seconds < self.limit_seconds
        return self.finding.is_good and is_in_time and not (self.lost or self.wrong or self.left_behind)

    def format_cells(self) -> list[str]:
        counts = (len(self.log.attempts), self.lost, self.wrong)
        verdict = "met" if self.is_harmless else "missed"
        return [self.fault, *map(str, counts), f"{self.delay_seconds:+.1f} s", str(self.left_behind), verdict]


def format_results(results: Sequence[FaultResult]) -> str:
    attempts = [(result.fault, attempt) for result in results for attempt in result.log.attempts]
    errors = Counter(attempt.error for _, attempt in attempts if attempt.error)
    lines = [
        format_table(HEADERS, [result.format_cells() for result in results]),
        f"usual: the slowest answer takes {results[0].log.usual_seconds:.1f} s",
        *(f"{result.fault}: {result.finding.text}" for result in results if result.finding.text),
        *(f"lost {count}: {error}" for error, count in errors.most_common(5)),
        *[f"{fault}, wrong: {attempt.wrong}" for fault, attempt in attempts if attempt.wrong][:5],
    ]
    return "\n".join(lines)


@contextmanager
def keep_load(
    client: ConvaiClient, expected: Sequence[tuple[Ask, Answer]], load: ChaosLoad, usual_seconds: float = 0.0
) -> Iterator[Log]:
    """Ask the questions in turn while the block runs, and on until the load's number of requests is reached."""
    log, is_over = Log(usual_seconds), Event()

    def keep_asking(number: int) -> None:
        while not is_over.is_set():
            log.attempts.append(attempt_question(client, *expected[number % len(expected)]))
            number += 1

    with ThreadPoolExecutor(load.in_flight) as pool:
        workers = [pool.submit(keep_asking, number) for number in range(load.in_flight)]
        try:
            yield log
            wait_until(lambda: len(log.attempts) >= load.requests, EXTRA_SECONDS)
        finally:
            is_over.set()
    for worker in workers:
        worker.result()


def attempt_question(client: ConvaiClient, ask: Ask, expected: Answer) -> Attempt:
    sent = time.monotonic()
    try:
        answer = ask(client)
    except ConvaiError as error:
        return Attempt(sent, time.monotonic() - sent, error=str(error))
    seconds = time.monotonic() - sent
    if is_same_answer(answer, expected):
        return Attempt(sent, seconds)
    return Attempt(sent, seconds, wrong=f"expected {expected.answer!r}, got {answer.answer!r}")


def wait_until(is_true: Callable[[], bool], seconds: float, poll_seconds: float = 0.1) -> bool:
    """Poll until `is_true` returns True or `seconds` are over; return its last result."""
    deadline = time.monotonic() + seconds
    while not (result := is_true()) and time.monotonic() < deadline:
        time.sleep(poll_seconds)
    return result
