"""The report of a benchmark, as text and as a JSON record; processor time per answer comes first."""

import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.speed.figures import LoadFigures, compute_medians
from benchmarks.speed.measured_server import MEGABYTE
from benchmarks.speed.question_set import Question
from convai.tables import format_table

HEADERS = (
    *("path", "in flight", "CPU/answer [ms]", "answers/s", "p50 [ms]", "p90 [ms]", "p99 [ms]"),
    *("answers", "wrong", "PSS [MB]"),
)
PACKAGES = ("convai-triton", "nvidia-pytriton", "onnxruntime", "openvino", "tritonclient", "fastapi", "uvicorn", "ray")


@dataclass(frozen=True)
class BenchReport:
    """
    Attributes
    ----------
    settings : the program's options
    rounds : one load on every path each; `medians` are over these
    """

    settings: Mapping[str, Any]
    questions: Sequence[Question]
    ready_seconds: float | None
    rounds: Sequence[Sequence[LoadFigures]]

    @cached_property
    def medians(self) -> list[LoadFigures]:
        order = {path: place for place, path in enumerate(self.settings["paths"])}
        found = compute_medians(figures for one in self.rounds for figures in one)
        return sorted(found, key=lambda figures: (order[figures.path], figures.in_flight))

    @property
    def title(self) -> str:
        seconds = [question.seconds for question in self.questions]
        asked = f"{len(seconds)} questions of {min(seconds):.1f} to {max(seconds):.1f} s"
        return f"{read_processor_name()}, {os.cpu_count()} cores; {asked}; medians of {self.settings['repeats']}"

    def format(self) -> str:
        ready = f"ready after {self.ready_seconds:.1f} s" if self.ready_seconds is not None else ""
        parts = [
            self.title,
            format_loads(self.medians),
            format_ratios(self.rounds, self.settings["paths"][0]),
            "Time of each step: queue + compute [ms]",
            format_steps(self.medians),
            ready,
        ]
        return "\n\n".join(part for part in parts if part)

    def build_record(self) -> dict[str, Any]:
        packages = {name: found for name in PACKAGES if (found := _find_version(name))}
        return {
            "title": self.title,
            "settings": self.settings,
            "environment": {
                "time": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
                "processor": read_processor_name(),
                "load_average": os.getloadavg(),
                "packages": packages | {"python": platform.python_version()},
            },
            "ready_seconds": self.ready_seconds,
            "medians": [asdict(figures) for figures in self.medians],
            "rounds": [[asdict(figures) for figures in one] for one in self.rounds],
        }


def format_loads(measured: Iterable[LoadFigures]) -> str:
    rows = [
        [
            figures.path,
            str(figures.in_flight),
            "" if figures.processor_seconds is None else f"{1000 * figures.processor_seconds:.0f}",
            f"{figures.answers_per_second:.2f}",
            *(f"{1000 * seconds:.0f}" for seconds in (figures.p50_seconds, figures.p90_seconds, figures.p99_seconds)),
            f"{figures.answers:.0f}",
            f"{figures.wrong:.0f}",
            "" if figures.pss_bytes is None else f"{figures.pss_bytes / MEGABYTE:.0f}",
        ]
        for figures in measured
    ]
    return format_table(HEADERS, rows)


def format_ratios(rounds: Iterable[Sequence[LoadFigures]], first: str) -> str:
    """Divide the first path's figures by each other path's: medians of the ratios within a round."""
    ratios: dict[tuple[str, int], list[tuple[float | None, ...]]] = {}
    for measured in rounds:
        (one,) = [figures for figures in measured if figures.path == first]
        for other in measured:
            if other.path != first:
                ratios.setdefault((other.path, one.in_flight), []).append(_divide(one, other))
    rows = [
        [path, str(in_flight), *(_format_median(column) for column in zip(*group, strict=True))]
        for (path, in_flight), group in ratios.items()
    ]
    return format_table((f"{first} over", "in flight", "CPU/answer", "answers/s", "p50"), rows) if rows else ""


def _divide(one: LoadFigures, other: LoadFigures) -> tuple[float | None, ...]:
    names = ("processor_seconds", "answers_per_second", "p50_seconds")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return tuple(None if None in pair else pair[0] / pair[1] for pair in pairs)


def _format_median(ratios: Sequence[float | None]) -> str:
    known = [ratio for ratio in ratios if ratio is not None]
    return f"{median(known):.2f}" if known else ""


def format_steps(measured: Sequence[LoadFigures]) -> str:
    """Return a table for each path that reports its steps, with a column per load."""
    tables = []
    for path in dict.fromkeys(figures.path for figures in measured if figures.steps):
        loads = [figures for figures in measured if figures.path == path]
        rows = [
            [step, *(" + ".join(f"{1000 * seconds:.1f}" for seconds in load.steps[step]) for load in loads)]
            for step in loads[0].steps
        ]
        between = [load.mean_seconds - sum(map(sum, load.steps.values())) for load in loads]
        rows.append(["between the steps", *(f"{1000 * seconds:.1f}" for seconds in between)])
        tables.append(format_table([f"{path}, in flight:", *(str(load.in_flight) for load in loads)], rows))
    return "\n\n".join(tables)


def read_processor_name() -> str:
    """Return the model name from /proc/cpuinfo, such as `AMD EPYC 7763`; the architecture if there is none."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
