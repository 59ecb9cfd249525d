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
# Triton gives a stub up that has shown no life for a second of its request. If all stood still, the stub lives on, and
# what it then answers is taken for the answer to the next request.
STANDSTILL_SECONDS = 5.0


def print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Watchdog:
    """Watches a running server and its stubs from `start` (or `with`) to `stop`, reporting a line per event."""

    def __init__(self, server: Server, *, report: Callable[[str], None] = print_to_stderr):
        self.server = server
        self._report = report
        self.model_of: dict[int, str] = {}  # by process id, for every stub that was seen alive
        self.suspects: set[int] = set()  # process ids that the last check found dead
        self.crashed: set[int] = set()  # those of stubs that have crashed; they stay zombies until the server ends
        self.dead: set[str] = set()  # models that wait to be revived
        self.revival: Revival | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
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
        while not self.stopping.wait(0):
            stood_still = self.seconds_stood_still()
            try:
                if stood_still > STANDSTILL_SECONDS:
                    self.restart(f"all stood still for {stood_still:.0f} s, after which Triton may mix up answers")
                self.check()
            except OSError as error:  # a full disk, say, must not end the watch
                self.report(f"this check failed: {error}")

    def seconds_stood_still(self) -> float:
        """Wait for the next check; by how much too long, since this process was frozen or the clock was set forward."""
        began = time.time()
        self.stopping.wait(CHECK_SECONDS)
        return time.time() - began - CHECK_SECONDS

    def check(self) -> None:
        """Look once at all stubs; revive the models of those that died, one round of models after the other."""
        if self.server.has_crashed:
            self.restart("tritonserver crashed")
        self.server.note_regions()
        self.note_stubs()
        for pid in self.newly_crashed():
            self.mourn(self.model_of.get(pid))
        revival = self.running_revival
        if revival and revival.is_stuck:
            self.restart(f"{revival}: Triton waits for a process that died")
        if self.dead and not self.running_revival:
            self.revival = Revival(self.server, self.dead, self.report)
            self.dead = set()

    def mourn(self, model: str | None) -> None:
        """Take note that a stub crashed; its model is unknown if it died before any check saw it alive."""
        revival = self.running_revival
        if revival and (model is None or model in revival.models):
            revival.crashed = time.monotonic()
        if model is not None and model not in self.dead:
            self.report(f"{model}: its Python process died; reviving it")
            self.dead.add(model)

    @property
    def running_revival(self) -> Revival | None:
        return self.revival if self.revival and self.revival.is_running else None

    def report(self, event: str) -> None:
        self._report(f"watchdog: {event}")

    def note_stubs(self) -> None:
        for stub in stubs_of(self.server.process.pid):
            revival = self.running_revival
            if stub.pid not in self.model_of and revival and stub.model in revival.models:
                revival.last_sign = time.monotonic()
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
