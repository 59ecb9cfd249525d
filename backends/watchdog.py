"""Revive Python stubs that die: Triton would go on failing their requests for ever, while reporting itself healthy.

    with Server(repository) as server, Watchdog(server):
        ...
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from convai.backends.launcher import Server
from convai.backends.processes import is_zombie

CHECK_SECONDS = 0.5
MAX_RETRY_SECONDS = 30.0
STOP_SECONDS = 10.0


def print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Watchdog:
    """Watches the stubs of a running server from `start` (or `with`) to `stop`, reporting a line per event."""

    def __init__(self, server: Server, *, report: Callable[[str], None] = print_to_stderr):
        self.server = server
        self.report = report
        self.model_of = {}  # process id -> model, for every stub that was seen alive and not yet seen dead
        self.suspects = set()  # process ids found dead by the last check
        self.reviving = set()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self.revivals = ThreadPoolExecutor(thread_name_prefix="revival")

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
        self.thread.join(STOP_SECONDS)
        self.revivals.shutdown(wait=False, cancel_futures=True)

    def _watch(self) -> None:
        while not self.stopping.wait(CHECK_SECONDS):
            try:
                self.check()
            except OSError as error:  # a full disk, say, must not end the watch
                self.report(f"watchdog: this check failed: {error}")

    def check(self) -> None:
        """Look once at all stubs, and start to revive the models of those that died."""
        self.model_of |= {stub.pid: stub.model for stub in self.server.note_stubs()}
        for model in self.models_with_a_dead_stub():
            if model not in self.reviving:
                self.reviving.add(model)
                self.report(f"watchdog: {model}: its Python process died; reviving it")
                self.revivals.submit(self.revive, model)

    def models_with_a_dead_stub(self) -> set[str]:
        # Triton reaps the stubs that it ends itself, so one that stays a zombie has crashed. A reload may be about to
        # reap it, hence the second look.
        dead = {pid for pid in self.model_of if is_zombie(pid)}
        crashed = dead & self.suspects
        self.suspects = dead - crashed
        return {self.model_of.pop(pid) for pid in crashed}

    def revive(self, model: str) -> None:
        """Load the model anew until that succeeds, waiting longer after each failure."""
        started = time.monotonic()
        wait_seconds = CHECK_SECONDS
        while not self.stopping.is_set():
            try:
                self.reload(model)
                self.report(f"watchdog: {model}: back after {time.monotonic() - started:.1f} s")
                break
            except OSError as error:
                self.report(f"watchdog: {model}: not revived, next try in {wait_seconds:.0f} s: {error}")
                self.stopping.wait(wait_seconds)
                wait_seconds = min(2 * wait_seconds, MAX_RETRY_SECONDS)
        self.reviving.discard(model)

    def reload(self, model: str) -> None:
        try:
            touch(self.server.model_repository / model)
        except OSError:  # a read-only repository; the ensembles of this model are away while it is unloaded
            self.server.control.unload(model)
        self.server.control.load(model)


def touch(model_folder: Path) -> None:
    """Make the versions of a model look changed, without which Triton's load does nothing."""
    for version in model_folder.iterdir():
        if version.name.isdecimal():
            os.utime(version)
