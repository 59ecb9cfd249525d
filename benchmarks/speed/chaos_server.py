"""A `convai serve` on an address of its own that can be stopped, killed and frozen."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.speed.measured_server import list_process_tree
from convai.client.client import ConvaiClient
from convai.client.errors import ConvaiError
from convai.description.wiring import wiring_of

READY_SECONDS = 180
STOP_SECONDS = 60
CLEANUP_SECONDS = 1.0  # after which nothing of a killed server may be left
POLL_SECONDS = 0.05
SHARED_MEMORY = "/dev/shm/triton_"


class ChaosServer:
    """One of several servers over the same model repository, all with the same port."""

    def __init__(self, model_repository: Path, profile: str, host: str, port: int) -> None:
        options = {"--model-repository": model_repository, "--profile": profile, "--host": host, "--grpc-port": port}
        options |= {"--metrics-port": 0, "--ready-timeout": READY_SECONDS}
        words = [str(word) for option in options.items() for word in option]
        self.address = f"{host}:{port}"
        self.left_behind = 0  # processes and files that outlived a launcher
        self._command = [sys.executable, "-m", "convai", "serve", *words]
        self._marks = {f"--grpc-address={host}", f"--grpc-port={port}"}

    def start(self) -> None:
        """Start the server and return when it is ready."""
        self.launcher = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        if not any(line.startswith("ready") for line in self.launcher.stdout or ()):
            raise OSError(f"the server at {self.address} did not start: status {self.launcher.wait()}")
        self._find_parts()

    def _find_parts(self) -> None:
        """Note the server's process, its runtime directory and its shared memory."""
        commands = {process.pid: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}
        self.pid = next(pid for pid, words in commands.items() if self._marks <= set(words))
        (backends,) = (word for word in commands[self.pid] if word.startswith("--backend-directory="))
        self.folder = Path(backends.partition("=")[2]).parent
        maps = [item.path for item in psutil.Process(self.pid).memory_maps()]
        self.shared_memory = {Path(path) for path in maps if path.startswith(SHARED_MEMORY)}

    def stop(self) -> None:
        """Stop the server gracefully."""
        self.launcher.send_signal(signal.SIGTERM)
        self.launcher.wait(STOP_SECONDS)
        self._count_left_behind()

    def kill(self) -> None:
        """Kill launcher and server together."""
        self._signal(signal.SIGKILL, [self.launcher.pid, self.pid])
        self.launcher.wait()
        self._count_left_behind()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP, [self.launcher.pid, *list_process_tree(self.pid)])

    def resume(self) -> None:
        self._signal(signal.SIGCONT, [self.launcher.pid, *list_process_tree(self.pid)])

    def _signal(self, number: signal.Signals, pids: Iterable[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait_until_answering(self, ensemble: str) -> None:
        """Return when the server answers again, possibly as a new process."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.count_answers(ensemble)
                return self._find_parts()
            except (ConvaiError, StopIteration):
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def count_answers(self, ensemble: str) -> int:
        """Return the number of requests to the ensemble that this server has answered."""
        with ConvaiClient(self.address, timeout_seconds=10.0) as client:
            return client.read_counters()[ensemble].requests

    def _count_left_behind(self) -> None:
        deadline = time.monotonic() + CLEANUP_SECONDS
        while (left := self._count_parts()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self.left_behind += left

    def _count_parts(self) -> int:
        commands = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
        processes = sum(any(str(self.folder) in word for word in words) for words in commands)
        return processes + sum(file.exists() for file in (*self.shared_memory, self.folder))


def write_subset(model_repository: Path, ensembles: Iterable[str], folder: Path) -> None:
    """Make `folder` a model repository of some ensembles and their steps."""
    for model in {*ensembles, *(call.step for ensemble in ensembles for call in wiring_of(ensemble).calls)}:
        (folder / model).symlink_to((model_repository / model).resolve())
