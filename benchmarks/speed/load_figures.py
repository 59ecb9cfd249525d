"""The figures of one path under one load, and their medians over repeats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from statistics import fmean, median

import numpy as np

from benchmarks.speed.closed_loop import LoadOutcome
from benchmarks.speed.paths import Reply
from benchmarks.speed.server_memory import Memory
from benchmarks.speed.step_shares import StepShare

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class LoadFigures:
    """
    Attributes
    ----------
    answers : how many requests the percentiles are of
    mean_seconds : of all requests, those before and after the counted ones too: what the steps' times are shares of
    wrong : how many of `answers` were not what the first path answers when it is asked alone
    processor_seconds : per answer, of all processes that do the work, user and system; None for those elsewhere
    memory : of all these processes after this load
    latency_ratio, throughput_ratio : to the floor, measured in the same round; None without it
    """

    path: str
    in_flight: int
    answers: int
    wrong: int
    p50_seconds: float
    p90_seconds: float
    p99_seconds: float
    mean_seconds: float
    answers_per_second: float
    processor_seconds: float | None
    steps: tuple[StepShare, ...]
    memory: Memory | None
    latency_ratio: float | None = None
    throughput_ratio: float | None = None


def figures_of(
    path: str,
    in_flight: int,
    outcome: LoadOutcome[Reply],
    steps: tuple[StepShare, ...] = (),
    memory: Memory | None = None,
    processor_seconds: float | None = None,
    wrong: int = 0,
) -> LoadFigures:
    """`processor_seconds` is that of all replies together."""
    latencies = [reply.latency_seconds for _, reply in outcome.counted]
    p50, p90, p99 = map(float, np.percentile(latencies, PERCENTILES))
    return LoadFigures(
        path,
        in_flight,
        len(latencies),
        wrong,
        p50,
        p90,
        p99,
        fmean(reply.latency_seconds for reply in outcome.all_replies),
        outcome.answers_per_second,
        None if processor_seconds is None else processor_seconds / len(outcome.all_replies),
        steps,
        memory,
    )


def beside_the_floor(measured: Sequence[LoadFigures]) -> list[LoadFigures]:
    """One round's figures with their ratios to the floor's."""
    floor = next((figures for figures in measured if figures.path == "floor"), None)
    return [with_ratios(figures, floor) for figures in measured] if floor else list(measured)


def with_ratios(figures: LoadFigures, floor: LoadFigures) -> LoadFigures:
    return replace(
        figures,
        latency_ratio=figures.p50_seconds / floor.p50_seconds,
        throughput_ratio=figures.answers_per_second / floor.answers_per_second,
    )


def medians(measured: Iterable[LoadFigures]) -> list[LoadFigures]:
    """One entry per path and load."""
    groups = {}
    for figures in measured:
        groups.setdefault((figures.path, figures.in_flight), []).append(figures)
    return [median_of(group) for group in groups.values()]


def median_of(group: Sequence):
    """The median of each number in equal dataclasses; what is no number is the same in all."""
    values = {field.name: [getattr(one, field.name) for one in group] for field in fields(group[0])}
    return type(group[0])(**{name: middle(column) for name, column in values.items()})


def middle(column: list):
    first = column[0]
    if isinstance(first, tuple):
        return median_steps(column)
    if isinstance(first, Memory):
        return median_of(column)
    return first if all(value == first for value in column) else median(column)


def median_steps(repeats: Sequence[tuple[StepShare, ...]]) -> tuple[StepShare, ...]:
    by_step = {}
    for share in chain.from_iterable(repeats):
        by_step.setdefault(share.step, []).append(share)
    return tuple(median_of(shares) for shares in by_step.values())
