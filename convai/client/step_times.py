"""How long each step took inside the server, from Triton's statistics before and after one request."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.requests import Request
from convai.client.step_by_step import needed_calls, recogniser_of

SETTLE_SECONDS = 2.0
POLL_SECONDS = 0.02
NANOSECONDS_PER_SECOND = 1e9


@dataclass(frozen=True)
class StepTime:
    """Mean over `requests`: the one measured, and any that others sent meanwhile."""

    step: str
    requests: int
    queue_seconds: float
    input_seconds: float  # handing the inputs to the process or GPU that runs the step
    infer_seconds: float
    output_seconds: float  # taking the outputs from it

    @property
    def compute_seconds(self) -> float:
        return self.input_seconds + self.infer_seconds + self.output_seconds

    @property
    def seconds(self) -> float:
        return self.queue_seconds + self.compute_seconds


@dataclass(frozen=True)
class TimedAnswer:
    """An answer, the time of each step that it took inside the server, and how long the client waited for it."""

    answer: Answer
    steps: tuple[StepTime, ...]
    round_trip_seconds: float


@dataclass(frozen=True)
class Counters:
    """What Triton has added up for one step since it was loaded."""

    requests: int = 0
    executions: int = 0  # each of a batch of requests
    queue_nanoseconds: int = 0
    input_nanoseconds: int = 0
    infer_nanoseconds: int = 0
    output_nanoseconds: int = 0

    @property
    def compute_nanoseconds(self) -> int:
        return self.input_nanoseconds + self.infer_nanoseconds + self.output_nanoseconds


def timed_answer(client: ConvaiClient, request: Request) -> TimedAnswer:
    """Send `request` to its ensemble and measure each step that it runs."""
    steps = [call.step for call in needed_calls(request.model, request.outputs, recogniser_of(client))]
    before = counters(client)
    start = time.perf_counter()
    answer = client.answer(request)
    round_trip_seconds = time.perf_counter() - start
    after = settled_counters(client, before, steps)
    return TimedAnswer(answer, times_between(before, after, steps), round_trip_seconds)


def counters(client: ConvaiClient) -> dict[str, Counters]:
    """Triton's counters of every model by name."""
    with client.connection.explained():
        response = client.triton.get_inference_statistics(client_timeout=client.connection.timeout_seconds)
    return read_counters(response)


def read_counters(response: Any) -> dict[str, Counters]:
    """The counters in Triton's `ModelStatisticsResponse`, by model."""
    return {model.name: _read(model) for model in response.model_stats}


def settled_counters(
    client: ConvaiClient, before: Mapping[str, Counters], steps: Iterable[str], requests: int = 1
) -> dict[str, Counters]:
    """The counters once each of `steps` has counted so many requests; a step may answer a moment before it counts."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        after = counters(client)
        if have_counted(before, after, steps, requests) or time.monotonic() > deadline:
            return after
        time.sleep(POLL_SECONDS)


def have_counted(
    before: Mapping[str, Counters], after: Mapping[str, Counters], steps: Iterable[str], requests: int = 1
) -> bool:
    """Whether each of `steps` has counted so many requests in between."""
    return all(requests_between(before, after, step) >= requests for step in steps)


def times_between(
    before: Mapping[str, Counters], after: Mapping[str, Counters], steps: Iterable[str]
) -> tuple[StepTime, ...]:
    """The time of each of `steps` that was counted in between."""
    counted = [step for step in steps if requests_between(before, after, step)]
    return tuple(_step_time(step, before.get(step, Counters()), after[step]) for step in counted)


def requests_between(before: Mapping[str, Counters], after: Mapping[str, Counters], step: str) -> int:
    """How many requests a step has counted in between."""
    return after.get(step, Counters()).requests - before.get(step, Counters()).requests


def _read(model: Any) -> Counters:  # a protobuf message, whose class no type checker sees
    statistics = model.inference_stats
    return Counters(
        requests=statistics.success.count,
        executions=model.execution_count,
        queue_nanoseconds=statistics.queue.ns,
        input_nanoseconds=statistics.compute_input.ns,
        infer_nanoseconds=statistics.compute_infer.ns,
        output_nanoseconds=statistics.compute_output.ns,
    )


def _step_time(step: str, before: Counters, after: Counters) -> StepTime:
    requests = after.requests - before.requests
    unit = requests * NANOSECONDS_PER_SECOND
    return StepTime(
        step=step,
        requests=requests,
        queue_seconds=(after.queue_nanoseconds - before.queue_nanoseconds) / unit,
        input_seconds=(after.input_nanoseconds - before.input_nanoseconds) / unit,
        infer_seconds=(after.infer_nanoseconds - before.infer_nanoseconds) / unit,
        output_seconds=(after.output_nanoseconds - before.output_nanoseconds) / unit,
    )
