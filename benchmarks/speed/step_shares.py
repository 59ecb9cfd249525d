"""Where the time of a request goes: queue and compute of each step, whoever ran it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from benchmarks.speed.paths import Reply
from convai.client.steps import NANOSECONDS_PER_SECOND, Counters


@dataclass(frozen=True)
class StepShare:
    """Means over the requests of one load.

    A batch counts what Triton handed to the step at once; a network runs only what is of one shape together.
    Every request of a batch is charged the batch's whole time: it had to wait for it.
    """

    step: str
    mean_batch_size: float
    queue_seconds: float
    compute_seconds: float

    @property
    def seconds(self) -> float:
        return self.queue_seconds + self.compute_seconds


def served_shares(
    before: Mapping[str, Counters], after: Mapping[str, Counters], steps: Iterable[str]
) -> tuple[StepShare, ...]:
    """The steps that the server ran between two readings of Triton's statistics."""
    rises = {step: rise(before.get(step, Counters()), after[step]) for step in steps if step in after}
    return tuple(served_share(step, risen) for step, risen in rises.items() if risen.requests)


def rise(before: Counters, after: Counters) -> Counters:
    return Counters(**{name: value - vars(before)[name] for name, value in vars(after).items()})


def served_share(step: str, risen: Counters) -> StepShare:
    unit = risen.requests * NANOSECONDS_PER_SECOND
    return StepShare(
        step,
        risen.requests / max(1, risen.executions),
        risen.queue_nanoseconds / unit,
        risen.compute_nanoseconds / unit,
    )


def called_shares(replies: Iterable[Reply], steps: Iterable[str]) -> tuple[StepShare, ...]:
    """The steps that the path called itself: nothing waits in a queue, and a call to a server includes the way."""
    replies = list(replies)
    return tuple(
        StepShare(step, 1.0, 0.0, fmean(reply.step_seconds[step] for reply in replies))
        for step in steps
        if all(step in reply.step_seconds for reply in replies)
    )
