"""Revive Python stubs that die, of which Triton takes no notice, and the server itself if it crashes.

with Server(repository) as server, Watchdog(server):
    ...
"""

import sys
import threading
import time
from collections.abc import Callable

from convai.backends.management.launcher import Server
from convai.backends.management.processes import dead_children_of, stubs_of
from convai.backends.management.revival import Revival

CHECK_SECONDS = 0.5
STOP_SECONDS = 10.0


def print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Watchdog:
    """Watches a running server and its stubs from `start` (or `with`) to `stop`, reporting a line per event."""

    def __init__(self, server: Server, *, report: Callable[[str], None] = print_to_stderr):
        self.server = server
        self.report = lambda line: report(f"watchdog: {line}")
        self.model_of = {}  # process id -> model, for every stub that was seen alive
        self.suspects = set()  # process ids that the last check found dead
        self.crashed = set()  # process ids of stubs known to have crashed; they stay zombies until the server ends
        self.dead = set()  # models that wait to be revived
        self.revival = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def start(self) -> None:
        self.check()
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        if self.revival is not None:
            self.revival.cancel()
        self.thread.join(STOP_SECONDS)

    def _watch(self) -> None:
        while not self.stopping.wait(CHECK_SECONDS):
            try:
                self.check()
            except OSError as error:  # a full disk, say, must not end the watch
                self.report(f"this check failed: {error}")

    def check(self) -> None:
        """Look once at all stubs; revive the models of those that died, one round of models after the other."""
        if self.server.has_crashed:
            self.restart("tritonserver crashed")
        self.server.note_regions()
        self.note_stubs()
        for pid in self.newly_crashed():
            self.mourn(self.model_of.get(pid))
        if self.reviving and self.revival.is_stuck:
            self.restart(f"{self.revival}: Triton waits for a process that died")
        if self.dead and not self.reviving:
            self.revival = Revival(self.server, self.dead, self.report)
            self.dead = set()

    def mourn(self, model: str | None) -> None:
        """Take note that a stub crashed; its model is unknown if it died before any check saw it alive."""
        if self.reviving and (model is None or model in self.revival.models):
            self.revival.crashed = time.monotonic()
        if model is not None and model not in self.dead:
            self.report(f"{model}: its Python process died; reviving it")
            self.dead.add(model)

    @property
    def reviving(self) -> bool:
        return self.revival is not None and self.revival.is_running

    def note_stubs(self) -> None:
        for stub in stubs_of(self.server.process.pid):
            if stub.pid not in self.model_of and self.reviving and stub.model in self.revival.models:
                self.revival.last_sign = time.monotonic()
            self.model_of[stub.pid] = stub.model

    def newly_crashed(self) -> set[int]:
        # Triton reaps the stubs that it ends itself, so one that stays a zombie has crashed. A reload may be about to
        # reap it, hence the second look.
        dead = dead_children_of(self.server.process.pid) - self.crashed
        crashed = dead & self.suspects
        self.suspects = dead - crashed
        self.crashed |= crashed
        return crashed

    def restart(self, reason: str) -> None:
        started = time.monotonic()
        self.report(f"{reason}; restarting the server")
        if self.revival is not None:
            self.revival.cancel()
        self.model_of, self.suspects, self.crashed = {}, set(), set()
        self.dead, self.revival = set(), None
        self.server.restart()
        self.report(f"server back after {time.monotonic() - started:.1f} s")
