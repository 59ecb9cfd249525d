"""Other ways to serve the pipeline on a CPU, each tuned as well as we can: the same networks, steps and weights."""

import os
from dataclasses import dataclass
from pathlib import Path

BASELINES = ("fastapi", "ray", "pytriton")


@dataclass(frozen=True)
class BaselineSetup:
    """
    Attributes
    ----------
    threads : of each network; with a process per core, more than one would compete for the core
    manifest, limit : the questions to warm up with
    """

    model_repository: Path
    profile: str
    threads: int = 1
    manifest: Path | None = None
    limit: int | None = None

    @property
    def cores(self) -> int:
        """The number of cores that this process, and so its children, may use."""
        return len(os.sched_getaffinity(0))
