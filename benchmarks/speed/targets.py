"""What the pipeline promises about its speed on two cores, held against what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.speed.load_figures import LoadFigures

READY_SECONDS = 20.0
LATENCY_RATIO, LATENCY_SECONDS = 1.05, 0.010  # over the floor, at 1 in flight
THROUGHPUT_RATIO = 1.5  # over the floor, at 8 in flight


@dataclass(frozen=True)
class Target:
    promise: str
    measured: str
    is_met: bool

    def __str__(self) -> str:
        return f"{'met   ' if self.is_met else 'missed'}  {self.promise}: {self.measured}"


def targets(measured: Sequence[LoadFigures], ready_seconds: float | None) -> list[Target]:
    """Those that can be told from the loads measured."""
    by_load = {(figures.path, figures.in_flight): figures for figures in measured}
    found = [latency_target(by_load), throughput_target(by_load)]
    found += [
        step_by_step_target(figures, by_load["step-by-step", load])
        for (path, load), figures in by_load.items()
        if path == "ensemble" and ("step-by-step", load) in by_load
    ]
    if ready_seconds is not None:
        found.append(
            Target(f"ready within {READY_SECONDS:g} s", f"{ready_seconds:.1f} s", ready_seconds <= READY_SECONDS)
        )
    return [target for target in found if target]


def latency_target(by_load: dict[tuple[str, int], LoadFigures]) -> Target | None:
    if ("ensemble", 1) not in by_load or ("floor", 1) not in by_load:
        return None
    ensemble, floor = by_load["ensemble", 1].p50_seconds, by_load["floor", 1].p50_seconds
    limit = LATENCY_RATIO * floor + LATENCY_SECONDS
    return Target(
        f"ensemble at 1 in flight: p50 at most {LATENCY_RATIO:g} times the floor plus {1000 * LATENCY_SECONDS:g} ms",
        f"{1000 * ensemble:.0f} ms, allowed {1000 * limit:.0f} ms",
        ensemble <= limit,
    )


def throughput_target(by_load: dict[tuple[str, int], LoadFigures]) -> Target | None:
    figures = by_load.get(("ensemble", 8))
    if figures is None or figures.throughput_ratio is None:
        return None
    return Target(
        f"ensemble at 8 in flight: at least {THROUGHPUT_RATIO:g} times the floor's throughput",
        f"{figures.throughput_ratio:.2f} times",
        figures.throughput_ratio >= THROUGHPUT_RATIO,
    )


def step_by_step_target(ensemble: LoadFigures, step_by_step: LoadFigures) -> Target:
    latency = ensemble.p50_seconds / step_by_step.p50_seconds
    throughput = ensemble.answers_per_second / step_by_step.answers_per_second
    return Target(
        f"ensemble at {ensemble.in_flight} in flight: no slower than step by step",
        f"{latency:.2f} times its p50, {throughput:.2f} times its throughput",
        latency <= 1 <= throughput,
    )
