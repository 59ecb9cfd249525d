"""The steps behind a request: which ones the server runs, and how long each one took.

Pure functions. The clients read Triton's statistics before and after a request; these functions compare them.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from convai.client.answer import Answer
from convai.client.requests import Request
from convai.description.pipeline import Call
from convai.description.recognisers import JASPER, RECOGNISERS, Recogniser
from convai.description.wiring import wiring_of

SETTLE_SECONDS = 2.0  # a client waits at most this long until the steps of its request are counted
POLL_SECONDS = 0.02
NANOSECONDS_PER_SECOND = 1e9


@dataclass(frozen=True)
class StepTime:
    """Mean time over `requests`: the measured request and any that other clients sent meanwhile."""

    step: str
    requests: int
    queue_seconds: float
    input_seconds: float  # passing the inputs to the process or GPU that runs the step
    infer_seconds: float
    output_seconds: float  # collecting its outputs

    @property
    def compute_seconds(self) -> float:
        return self.input_seconds + self.infer_seconds + self.output_seconds

    @property
    def seconds(self) -> float:
        return self.queue_seconds + self.compute_seconds


@dataclass(frozen=True)
class TimedAnswer:
    """An answer, the calls that made it, the time of each step inside the server, and the time at the client."""

    answer: Answer
    calls: tuple[Call, ...]
    steps: tuple[StepTime, ...]
    round_trip_seconds: float


@dataclass(frozen=True)
class Counters:
    """Triton's totals of one step since it was loaded."""

    requests: int = 0
    executions: int = 0  # one per batch
    queue_nanoseconds: int = 0
    input_nanoseconds: int = 0
    infer_nanoseconds: int = 0
    output_nanoseconds: int = 0


def calls_of(request: Request, loaded: Container[str]) -> tuple[Call, ...]:
    """Return the calls that a server with the models `loaded` makes for `request`, in order."""
    return needed_calls(request.model, request.outputs, recogniser_of(loaded))


def recogniser_of(loaded: Container[str]) -> Recogniser:
    """Return the recogniser of which all steps are among the models `loaded`; Jasper if there is none."""
    for recogniser in RECOGNISERS.values():
        if all(step.name in loaded for step in recogniser.steps):
            return recogniser
    return JASPER


def needed_calls(ensemble: str, outputs: Iterable[str], recogniser: Recogniser) -> tuple[Call, ...]:
    """Return the calls that make `outputs` of an ensemble, in order, each with only the outputs that are used."""
    used = set(outputs)
    calls: list[Call] = []
    for call in reversed(_calls_in(ensemble, recogniser.name)):
        kept = {tensor: edge for tensor, edge in call.outputs.items() if edge in used}
        if kept:
            calls.append(replace(call, outputs=kept))
            used |= set(call.inputs.values())
    return tuple(reversed(calls))


@cache  # wiring validates the whole ensemble, which never changes
def _calls_in(ensemble: str, recogniser_name: str) -> tuple[Call, ...]:
    return wiring_of(ensemble, RECOGNISERS[recogniser_name]).calls


def read_statistics(response: Any) -> dict[str, Counters]:
    """Return the counters of each loaded model by name, from Triton's `ModelStatisticsResponse`."""
    return {model.name: _read_counters(model) for model in response.model_stats}


def _read_counters(model: Any) -> Counters:  # a protobuf message, which has no types
    statistics = model.inference_stats
    return Counters(
        requests=statistics.success.count,
        executions=model.execution_count,
        queue_nanoseconds=statistics.queue.ns,
        input_nanoseconds=statistics.compute_input.ns,
        infer_nanoseconds=statistics.compute_infer.ns,
        output_nanoseconds=statistics.compute_output.ns,
    )


def requests_between(before: Mapping[str, Counters], after: Mapping[str, Counters], step: str) -> int:
    """Return how many requests a step counted between two readings."""
    return after.get(step, Counters()).requests - before.get(step, Counters()).requests


def have_counted(
    before: Mapping[str, Counters], after: Mapping[str, Counters], steps: Iterable[str], requests: int = 1
) -> bool:
    """Return whether each of `steps` counted at least `requests` between two readings."""
    return all(requests_between(before, after, step) >= requests for step in steps)


def times_between(
    before: Mapping[str, Counters], after: Mapping[str, Counters], steps: Iterable[str]
) -> tuple[StepTime, ...]:
    """Return the time of each of `steps` that counted a request between two readings."""
    counted = [step for step in steps if requests_between(before, after, step)]
    return tuple(_mean_time(step, before.get(step, Counters()), after[step]) for step in counted)


def _mean_time(step: str, before: Counters, after: Counters) -> StepTime:
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
