"""Load models anew whose stubs died: touch their files, without which Triton's load does nothing, and load them."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from convai.backends.management.launcher import Server

FIRST_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 30.0
# A stub that dies just as it starts makes Triton's load wait for ever; of one that dies later it learns in 2 s.
STUCK_SECONDS_AFTER_A_CRASH = 4.0
STUCK_SECONDS_WITHOUT_A_STUB = 60.0  # Triton loads the steps of one ensemble one by one, so a load may have to queue


class Revival:
    """Revives some models of a server in a thread of its own, trying until it succeeds or is cancelled."""

    def __init__(self, server: Server, models: Iterable[str], report: Callable[[str], None]):
        self.server = server
        self.models = set(models)
        self.report = report
        self.started = time.monotonic()
        self.last_sign = self.started  # when one of its stubs last appeared
        self.crashed: float | None = None  # when one of its stubs last died, if one did
        self.cancelled = threading.Event()
        self.thread = threading.Thread(target=self._run, name="revival", daemon=True)
        self.thread.start()

    @property
    def is_running(self) -> bool:
        return self.thread.is_alive()

    @property
    def is_stuck(self) -> bool:
        """Whether Triton waits for ever for a stub that is no more; only restarting it helps."""
        now = time.monotonic()
        if self.crashed is not None and now - self.crashed > STUCK_SECONDS_AFTER_A_CRASH:
            return True
        return now - self.last_sign > STUCK_SECONDS_WITHOUT_A_STUB

    def cancel(self) -> None:
        self.cancelled.set()

    def _run(self) -> None:
        wait_seconds = FIRST_RETRY_SECONDS
        while not self.cancelled.wait(0):
            try:
                reload(self.server, self.models)
            except OSError as error:
                if not self.cancelled.is_set():
                    self.report(f"{self}: not revived, next try in {wait_seconds:g} s: {error}")
                self.cancelled.wait(wait_seconds)
                wait_seconds = min(2 * wait_seconds, MAX_RETRY_SECONDS)
            else:
                self.report(f"{self}: back after {time.monotonic() - self.started:.1f} s")
                return

    def __str__(self) -> str:
        return ", ".join(sorted(self.models))


def reload(server: Server, models: set[str]) -> None:
    for model in models:
        try:
            touch(server.model_repository / model)
        except OSError:  # a read-only repository; while the model is unloaded, its ensembles are away too
            server.control.unload(model)
    targets = models if len(models) == 1 else load_targets(models, server.control.ensembles())
    for target in targets:
        server.control.load(target)


def touch(model_folder: Path) -> None:
    for version in model_folder.iterdir():
        if version.name.isdecimal():
            os.utime(version)


def load_targets(models: set[str], ensembles: dict[str, set[str]]) -> list[str]:
    """What to load so that all of `models` are loaded anew: an ensemble loads its steps side by side."""
    for ensemble, steps in ensembles.items():
        if models <= steps:
            return [ensemble]
    return sorted(models)
