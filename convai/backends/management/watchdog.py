"""Respawn Python stubs that die, which Triton does not notice, and restart the server itself if it crashes.

with Server(repository) as server, Watchdog(server):
    ...
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from convai.backends.management.launcher import Server
from convai.backends.management.processes import stubs_of, zombies_of

CHECK_SECONDS = 0.5
STOP_SECONDS = 10.0
# Triton gives up a stub that has not answered for a second. If the whole machine stood still, the stub lives on, and
# Triton takes its late response for the response to the next request.
STANDSTILL_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 30.0
# If a stub dies just as it starts, Triton's load never returns; if it dies later, Triton notices within 2 s.
STUCK_SECONDS_AFTER_A_CRASH = 4.0
STUCK_SECONDS_WITHOUT_A_STUB = 60.0  # Triton loads the steps of an ensemble one by one, so a load may have to queue


class Watchdog:
    """Watches a running server and its stubs within a `with` block, and reports a line per event."""

    def __init__(self, server: Server, *, report: Callable[[str], None] | None = None):
        self.server = server
        self._report = report or partial(print, file=sys.stderr, flush=True)
        self.model_of: dict[int, str] = {}  # by process id, for every stub that was seen alive
        self.suspects: set[int] = set()  # process ids of the zombies that the last check found
        self.crashed: set[int] = set()  # process ids of crashed stubs, which stay zombies until the server ends
        self.dead: set[str] = set()  # models that wait for a respawn
        self.respawn: Respawn | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self.check()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(STOP_SECONDS)
        if self.respawn is not None:  # the last check may have begun it
            self.respawn.cancel()

    def _watch(self) -> None:
        while not self.stopping.is_set():
            standstill = self.wait_for_next_check()
            try:
                if standstill > STANDSTILL_SECONDS:
                    self.restart(f"all processes stood still for {standstill:.0f} s, so Triton may mix up responses")
                self.check()
            except Exception as error:  # a full disk, a slow `ldd` or renewed TLS files must not end the watch
                self.report(f"this check failed: {error}")

    def wait_for_next_check(self) -> float:
        """Return by how many seconds the wait was too long: this process was frozen, or the clock was set forward."""
        began = time.time()
        self.stopping.wait(CHECK_SECONDS)
        return time.time() - began - CHECK_SECONDS

    def check(self) -> None:
        """Look at all stubs once, and respawn the models of dead ones, in one round of models after the other."""
        if self.server.has_crashed:
            self.restart("tritonserver crashed")
        self.server.record_regions()
        self.record_stubs()
        for pid in self.find_crashed():
            self.record_crash(self.model_of.get(pid))
        respawn = self.running_respawn
        if respawn and respawn.is_stuck:
            self.restart(f"{respawn}: Triton waits for a process that died")
        if self.dead and not self.running_respawn:
            self.respawn = Respawn(self.server, self.dead, self.report)
            self.dead = set()

    def record_stubs(self) -> None:
        for stub in stubs_of(self.server.process.pid):
            respawn = self.running_respawn
            if stub.pid not in self.model_of and respawn and stub.model in respawn.models:
                respawn.last_sign = time.monotonic()
            self.model_of[stub.pid] = stub.model

    def find_crashed(self) -> set[int]:
        # Triton reaps the stubs that it ends itself, so one that stays a zombie has crashed. The second look is
        # for a reload, which may be about to reap it.
        zombies = zombies_of(self.server.process.pid) - self.crashed
        crashed = zombies & self.suspects
        self.suspects = zombies - crashed
        self.crashed |= crashed
        return crashed

    def record_crash(self, model: str | None) -> None:
        """Record that a stub crashed; its model is unknown if it died before any check saw it alive."""
        respawn = self.running_respawn
        if respawn and (model is None or model in respawn.models):
            respawn.crashed = time.monotonic()
        if model is not None and model not in self.dead:
            self.report(f"{model}: its Python process died; respawning it")
            self.dead.add(model)

    @property
    def running_respawn(self) -> "Respawn | None":
        return self.respawn if self.respawn and self.respawn.is_running else None

    def restart(self, reason: str) -> None:
        started = time.monotonic()
        self.report(f"{reason}; restarting the server")
        if self.respawn is not None:
            self.respawn.cancel()
        self.model_of, self.suspects, self.crashed = {}, set(), set()
        self.dead, self.respawn = set(), None
        self.server.restart()
        self.report(f"server back after {time.monotonic() - started:.1f} s")

    def report(self, event: str) -> None:
        self._report(f"watchdog: {event}")


class Respawn:
    """Reloads some models of a server in a thread of its own, trying until it succeeds or is cancelled."""

    def __init__(self, server: Server, models: Iterable[str], report: Callable[[str], None]):
        self.server = server
        self.models = set(models)
        self.report = report
        self.started = time.monotonic()
        self.last_sign = self.started  # when one of its stubs last appeared
        self.crashed: float | None = None  # when one of its stubs last died, if one did
        self.cancelled = threading.Event()
        self.thread = threading.Thread(target=self._run, name="respawn", daemon=True)
        self.thread.start()

    @property
    def is_running(self) -> bool:
        return self.thread.is_alive()

    @property
    def is_stuck(self) -> bool:
        """Whether Triton waits forever for a dead stub, so that only a restart helps."""
        now = time.monotonic()
        if self.crashed is not None and now - self.crashed > STUCK_SECONDS_AFTER_A_CRASH:
            return True
        return now - self.last_sign > STUCK_SECONDS_WITHOUT_A_STUB

    def cancel(self) -> None:
        self.cancelled.set()

    def _run(self) -> None:
        wait_seconds = FIRST_RETRY_SECONDS
        while not self.cancelled.is_set():
            try:
                reload_models(self.server, self.models)
            except Exception as error:  # of any class, or the models stay dead
                if not self.cancelled.is_set():
                    self.report(f"{self}: not back, next try in {wait_seconds:g} s: {error}")
                self.cancelled.wait(wait_seconds)
                wait_seconds = min(2 * wait_seconds, MAX_RETRY_SECONDS)
            else:
                self.report(f"{self}: back after {time.monotonic() - self.started:.1f} s")
                return

    def __str__(self) -> str:
        return ", ".join(sorted(self.models))


def reload_models(server: Server, models: set[str]) -> None:
    for model in models:
        try:
            touch_versions(server.model_repository / model)
        except OSError:  # a read-only repository; while the model is unloaded, its ensembles are unavailable
            server.control.unload(model)
    targets = models if len(models) == 1 else choose_targets(models, server.control.ensembles())
    for target in targets:
        server.control.load(target)


def touch_versions(model_folder: Path) -> None:
    """Make Triton see changed files; otherwise it would not reload the model."""
    for version in model_folder.iterdir():
        if version.name.isdecimal():
            os.utime(version)


def choose_targets(models: set[str], ensembles: dict[str, set[str]]) -> list[str]:
    """What to load so that all `models` are reloaded: an ensemble of them all loads its steps in parallel."""
    for ensemble, steps in ensembles.items():
        if models <= steps:
            return [ensemble]
    return sorted(models)
