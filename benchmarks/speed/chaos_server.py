"""A `convai serve` of its own, with an address of its own on this machine, that may be stopped, killed and frozen."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from convai.backends.management.processes import (
    SHARED_MEMORY,
    command_line,
    regions_of,
    stubs_of,
)
from convai.backends.management.runtime_directory import processes_of
from convai.client.client import ConvaiClient
from convai.client.errors import ConvaiError
from convai.description.wiring import wiring_of

READY_SECONDS = 180
STOP_SECONDS = 60
CLEAR_SECONDS = 1.0  # within which nothing of a killed server may be left
POLL_SECONDS = 0.05


class ChaosServer:
    """One of several servers over the same model repository; all have the same port.

    `before` is what the command to start it begins with.
    """

    def __init__(self, model_repository: Path, profile: str, host: str, port: int, before: Sequence[str] = ()) -> None:
        options = {"--model-repository": model_repository, "--profile": profile, "--host": host, "--grpc-port": port}
        options |= {"--http-port": 0, "--metrics-port": 0, "--ready-timeout": READY_SECONDS}
        self.address = f"{host}:{port}"
        self.left_behind = 0  # processes and shared memory that outlasted a launcher
        self._command = [
            *before,
            sys.executable,
            "-m",
            "convai",
            "serve",
            *(str(word) for pair in options.items() for word in pair),
        ]
        self._signs = {f"--grpc-address={host}", f"--grpc-port={port}"}

    def start(self) -> None:
        """Start it and return when it is ready."""
        self.launcher = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        if not any(line.startswith("ready") for line in self.launcher.stdout or ()):
            raise OSError(f"the server at {self.address} did not start: status {self.launcher.wait()}")
        self._look_up()

    def _look_up(self) -> None:
        self.pid = next(pid for pid in psutil.pids() if self._signs <= set(command_line(pid)))
        (backends,) = (word for word in command_line(self.pid) if word.startswith("--backend-directory="))
        self.folder = Path(backends.partition("=")[2]).parent
        self.regions = regions_of(self.pid)

    def stop(self) -> None:
        """Stop it in order."""
        self.launcher.send_signal(signal.SIGTERM)
        self.launcher.wait(STOP_SECONDS)
        self.count_left()

    def kill(self) -> None:
        """Kill launcher and server together."""
        for pid in (self.launcher.pid, self.pid):
            os.kill(pid, signal.SIGKILL)
        self.launcher.wait()
        self.count_left()

    def freeze(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def await_return(self, ensemble: str) -> None:
        """Return when it answers again, perhaps as another process."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.answers(ensemble)
                return self._look_up()
            except (ConvaiError, StopIteration):
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def _pids(self) -> list[int]:
        return [self.launcher.pid, self.pid, *(stub.pid for stub in stubs_of(self.pid))]

    def answers(self, ensemble: str) -> int:
        """How many requests to the ensemble this server has answered."""
        with ConvaiClient(self.address, timeout_seconds=10.0) as client:
            return client.read_counters()[ensemble].requests

    def count_left(self) -> None:
        deadline = time.monotonic() + CLEAR_SECONDS
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self.left_behind += left

    def _left(self) -> int:
        files = [*(SHARED_MEMORY / region for region in self.regions), self.folder]
        return len(processes_of(self.folder)) + sum(file.exists() for file in files)


def write_subset(model_repository: Path, ensembles: Iterable[str], folder: Path) -> None:
    """Make `folder` a model repository of some ensembles and their steps."""
    for model in {*ensembles, *(call.step for ensemble in ensembles for call in wiring_of(ensemble).calls)}:
        (folder / model).symlink_to((model_repository / model).resolve())
