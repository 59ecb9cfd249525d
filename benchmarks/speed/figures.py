"""The figures of one path under one load, and their medians over repeats."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.speed.closed_loop import Load, LoadOutcome, run_load
from benchmarks.speed.measured_server import measure_pss, read_processor_seconds
from benchmarks.speed.paths import AnswerPath, Reply
from benchmarks.speed.question_set import Question

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class LoadFigures:
    """
    Attributes
    ----------
    path, in_flight : what was measured, and under which load
    processor_seconds : per answer, user and system time of all processes that do the work; None on another machine
    mean_seconds : latency of all requests, including those before and after the measured ones
    pss_bytes : memory of all these processes after this load; None on another machine
    answers, wrong : measured requests, and those whose answer differs from the first path's answer without load
    steps : queue and compute seconds of each step, means over the requests
    """

    path: str
    in_flight: int
    processor_seconds: float | None
    answers_per_second: float
    p50_seconds: float
    p90_seconds: float
    p99_seconds: float
    mean_seconds: float
    pss_bytes: float | None
    answers: float
    wrong: float = 0
    steps: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def measure_load(
    name: str, path: AnswerPath, questions: Sequence[Question], load: Load
) -> tuple[LoadFigures, LoadOutcome[Reply]]:
    """Run a load on a path; return its figures, without `wrong` and `steps`, and its replies."""
    before = read_processor_seconds(path.list_processes())
    outcome = run_load(path.ask, questions, load)
    processes = path.list_processes()
    spent = read_processor_seconds(processes) - before if processes else None
    return build_figures(name, load.in_flight, outcome, spent, measure_pss(processes)), outcome


def build_figures(
    path: str, in_flight: int, outcome: LoadOutcome[Reply], processor_seconds: float | None, pss_bytes: float | None
) -> LoadFigures:
    """Summarise an outcome; `processor_seconds` is the total over all replies."""
    latencies = [reply.latency_seconds for _, reply in outcome.measured]
    p50, p90, p99 = map(float, np.percentile(latencies, PERCENTILES))
    return LoadFigures(
        path=path,
        in_flight=in_flight,
        processor_seconds=None if processor_seconds is None else processor_seconds / len(outcome.all_replies),
        answers_per_second=outcome.answers_per_second,
        p50_seconds=p50,
        p90_seconds=p90,
        p99_seconds=p99,
        mean_seconds=fmean(reply.latency_seconds for reply in outcome.all_replies),
        pss_bytes=pss_bytes,
        answers=len(latencies),
    )


def compute_medians(measured: Iterable[LoadFigures]) -> list[LoadFigures]:
    """Return one entry per path and load."""
    groups: dict[tuple[str, int], list[LoadFigures]] = {}
    for figures in measured:
        groups.setdefault((figures.path, figures.in_flight), []).append(figures)
    return [_compute_median(group) for group in groups.values()]


def _compute_median(group: Sequence[LoadFigures]) -> LoadFigures:
    columns = {one.name: [getattr(figures, one.name) for figures in group] for one in fields(LoadFigures)}
    path, in_flight, repeats = columns.pop("path")[0], columns.pop("in_flight")[0], columns.pop("steps")
    medians: dict[str, Any] = {name: None if None in column else median(column) for name, column in columns.items()}
    steps = {
        step: (median(steps[step][0] for steps in repeats), median(steps[step][1] for steps in repeats))
        for step in repeats[0]
    }
    return LoadFigures(path, in_flight, **medians, steps=steps)
