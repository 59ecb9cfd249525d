"""What a benchmark found, as text and as JSON."""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.speed.load_figures import LoadFigures, medians
from benchmarks.speed.load_table import loads_table, ratios_table, steps_tables
from benchmarks.speed.question_set import Question
from benchmarks.speed.targets import Target, targets

SERVING = ("convai", "nvidia-pytriton", "onnxruntime", "openvino", "torch", "tritonclient", "numpy")
PACKAGES = (*SERVING, "fastapi", "uvicorn", "uvloop", "ray")


@dataclass(frozen=True)
class BenchResult:
    """
    Attributes
    ----------
    settings : what was asked for
    differing : how many questions got another answer than the first path's alone, over all paths and loads
    rounds : the figures as measured; `medians` are over these
    """

    settings: Mapping[str, Any]
    questions: Sequence[Question]
    differing: int
    ready_seconds: float | None
    rounds: Sequence[Sequence[LoadFigures]]

    @cached_property
    def medians(self) -> list[LoadFigures]:
        found = medians(figures for one in self.rounds for figures in one)
        order = {path: place for place, path in enumerate(self.settings["paths"])}
        return sorted(found, key=lambda figures: (order[figures.path], figures.in_flight))

    @property
    def targets(self) -> list[Target]:
        return targets(self.medians, self.ready_seconds)

    @property
    def title(self) -> str:
        delay = self.settings["network_delay_milliseconds"]
        where = (
            f"{delay:g} ms round trip to the server (user-space TCP relay)" if delay else "server on the same machine"
        )
        shortest, longest = (pick(question.seconds for question in self.questions) for pick in (min, max))
        spoken = f"{len(self.questions)} questions of {shortest:.1f} to {longest:.1f} s"
        return f"{spoken}, {os.cpu_count()} cores, {where}, medians of {self.settings['repeats']}"

    def text(self) -> str:
        parts = [
            self.title,
            loads_table(self.medians),
            ratios_table(self.rounds, self.settings["paths"][0]),
            "Time of each step, queue + compute [ms], share of the mean latency, mean batch size",
            steps_tables(self.medians),
            f"questions answered otherwise than by the first path alone, by any path under any load: {self.differing}",
            "\n".join(str(target) for target in self.targets),
        ]
        return "\n\n".join(part for part in parts if part)

    def json(self) -> str:
        record = {
            "title": self.title,
            "settings": self.settings,
            "environment": environment(),
            "questions": [
                {"seconds": question.seconds, "context_characters": len(question.context)}
                for question in self.questions
            ],
            "questions_answered_differently": self.differing,
            "ready_seconds": self.ready_seconds,
            "targets": [asdict(target) for target in self.targets],
            "medians": [asdict(figures) for figures in self.medians],
            "rounds": [[asdict(figures) for figures in one] for one in self.rounds],
        }
        return json.dumps(record, indent=2)


def environment() -> dict[str, Any]:
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "machine": platform.machine(),
        "processor": processor(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES if is_installed(name)},
    }


def is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def processor() -> str:
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
