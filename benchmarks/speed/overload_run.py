"""Three phases: each question asked alone, many at once for some time, and each alone again."""

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from benchmarks.speed.closed_loop import Load, run_load
from benchmarks.speed.measured_server import MeasuredServer
from benchmarks.speed.overload_report import Attempt, OverloadReport, Phase, Sample
from benchmarks.speed.paths import EnsemblePath
from benchmarks.speed.question_set import Question
from convai.client.client import ConvaiClient
from convai.client.errors import ConvaiError, Overloaded

SAMPLE_SECONDS = 1.0
PAUSE_SECONDS = 0.5  # after a refusal, before the next attempt


def overload(
    server: MeasuredServer, questions: Sequence[Question], load: Load, timeout_seconds: float
) -> OverloadReport:
    """Every call waits for its answer, since Triton goes on with requests that nobody waits for any more."""
    with ConvaiClient(server.address, timeout_seconds=timeout_seconds) as client, sampling(server) as samples:
        ask = EnsemblePath(client).ask
        for question in questions[:2]:
            ask(question)  # what the first requests set up is no measure of others
        processes = server.processes()
        before = phase("alone, before", lambda: ask_alone(ask, questions), samples)
        flood = phase(f"{load.in_flight} in flight", lambda: ask_together(ask, questions, load), samples)
        after = phase("alone, after", lambda: ask_alone(ask, questions), samples)
        same_processes = processes == server.processes()
    return OverloadReport(load.in_flight, load.seconds, (before, flood, after), same_processes)


def phase(name: str, run: Callable[[], list[Attempt]], samples: list[Sample]) -> Phase:
    start = time.monotonic()
    attempts = run()
    end = time.monotonic()
    memory = [sample.memory for sample in samples if start <= sample.moment <= end]
    return Phase(name, end - start, tuple(attempts), tuple(memory))


def ask_alone(ask: Callable, questions: Sequence[Question]) -> list[Attempt]:
    return [attempt(ask, questions, index) for index in range(len(questions))]


def ask_together(ask: Callable, questions: Sequence[Question], load: Load) -> list[Attempt]:
    def insist(index: int) -> Attempt:
        one = attempt(ask, questions, index)
        if one.is_refused:
            time.sleep(PAUSE_SECONDS)
        return one

    return list(run_load(insist, range(len(questions)), load).all_replies)


def attempt(ask: Callable, questions: Sequence[Question], index: int) -> Attempt:
    start = time.perf_counter()
    text, failure, refused = None, None, False
    try:
        answer = ask(questions[index]).answer
        text = (answer.question, answer.answer)
    except Overloaded as error:
        refused, failure = True, str(error)
    except ConvaiError as error:
        failure = str(error)
    return Attempt(index, time.perf_counter() - start, text, refused, failure)


@contextmanager
def sampling(server: MeasuredServer):
    """The server's memory, every second while the block runs."""
    samples, over = [], Event()

    def sample():
        while not over.wait(SAMPLE_SECONDS):
            memory = server.memory()
            if memory:
                samples.append(Sample(time.monotonic(), memory))

    thread = Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
