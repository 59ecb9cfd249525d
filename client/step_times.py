"""How long each step took inside the server, from Triton's statistics before and after one request."""

import time
from dataclasses import dataclass

from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.requests import Request
from convai.client.step_by_step import needed_calls

SETTLE_SECONDS = 2.0
POLL_SECONDS = 0.02
NANOSECONDS_PER_SECOND = 1e9


@dataclass(frozen=True)
class StepTime:
    """Mean over `requests`: the one measured, and any that others sent meanwhile."""

    step: str
    requests: int
    queue_seconds: float
    compute_seconds: float


@dataclass(frozen=True)
class Counters:
    """What Triton has added up for one step since it was loaded."""

    requests: int = 0
    executions: int = 0  # each of a batch of requests
    queue_nanoseconds: int = 0
    compute_nanoseconds: int = 0


def answer_with_step_times(client: ConvaiClient, request: Request) -> tuple[Answer, tuple[StepTime, ...]]:
    """Send `request` to its ensemble and measure each step that it runs."""
    steps = [call.step for call in needed_calls(request.model, request.outputs)]
    before = counters(client)
    answer = client.answer(request)
    after = _counters_once_settled(client, steps, before)
    return answer, tuple(_step_time(step, before.get(step, Counters()), after[step]) for step in steps if step in after)


def counters(client: ConvaiClient) -> dict[str, Counters]:
    """Triton's counters of every model by name."""
    with client.connection.explained():
        response = client.triton.get_inference_statistics(client_timeout=client.connection.timeout_seconds)
    return {model.name: _read(model) for model in response.model_stats}


def _counters_once_settled(client, steps, before) -> dict[str, Counters]:
    """The counters once every step has counted the request; a step may answer a moment before it counts."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        after = counters(client)
        risen = {
            step: after[step]
            for step in steps
            if step in after and after[step].requests > before.get(step, Counters()).requests
        }
        if len(risen) == len(steps) or time.monotonic() > deadline:
            return risen
        time.sleep(POLL_SECONDS)


def _read(model) -> Counters:
    statistics = model.inference_stats
    compute = (statistics.compute_input, statistics.compute_infer, statistics.compute_output)
    compute_nanoseconds = sum(part.ns for part in compute)
    return Counters(statistics.success.count, model.execution_count, statistics.queue.ns, compute_nanoseconds)


def _step_time(step: str, before: Counters, after: Counters) -> StepTime:
    requests = after.requests - before.requests
    unit = requests * NANOSECONDS_PER_SECOND
    return StepTime(
        step,
        requests,
        (after.queue_nanoseconds - before.queue_nanoseconds) / unit,
        (after.compute_nanoseconds - before.compute_nanoseconds) / unit,
    )
