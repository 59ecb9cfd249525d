"""`convai serve` and `convai talk` as processes of their own, started as a user starts them."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from convai.backends.management.processes import SHARED_MEMORY, command_line, regions_of

READY_SECONDS = 120
STOP_SECONDS = 30
ANY_PORTS = ("--grpc-port=0", "--metrics-port=0")


class ConvaiProcess:
    """A command that runs from `with`, which waits until it is ready, to its end; `lines` is what it has printed."""

    ready_lines = ("ready",)

    def __init__(self, *words, environment=None):
        self.command = [sys.executable, "-m", "convai", *map(str, words)]
        self.environment = {**os.environ, **(environment or {})}
        self.lines = []
        self.is_ready = threading.Event()

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.is_ready.wait(READY_SECONDS) or self.process.poll() is not None:
            self.__exit__()
            raise AssertionError("not ready:\n" + "".join(self.lines))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(STOP_SECONDS)
        self.reader.join(STOP_SECONDS)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(self.ready_lines):
                self.is_ready.set()
        self.is_ready.set()

    def printed(self, label):
        """The rest of the first line that begins with `label`, like `gRPC`."""
        return next(line.removeprefix(label).strip() for line in self.lines if line.startswith(label))

    def wait_for_line(self, text):
        wait_until(lambda: any(text in line for line in self.lines))

    @property
    def resident_bytes(self):
        return psutil.Process(self.process.pid).memory_info().rss


class ServeProcess(ConvaiProcess):
    """`convai serve` over a repository, on free ports."""

    def __init__(self, repository, *options):
        super().__init__("serve", "--model-repository", repository, "--warm-up=0", *ANY_PORTS, *options)

    def __enter__(self):
        super().__enter__()
        port_option = f"--grpc-port={self.grpc_port}"
        self.server_pid = next(pid for pid in psutil.pids() if port_option in command_line(pid))
        self.regions = regions_of(self.server_pid)
        (backends,) = (word for word in command_line(self.server_pid) if word.startswith("--backend-directory="))
        self.directory = Path(backends.partition("=")[2]).parent
        return self

    @property
    def grpc_port(self):
        return int(self.printed("gRPC").rpartition(":")[2])

    def leaves_nothing(self):
        return is_gone(self.server_pid, self.regions) and not self.directory.exists()


def is_gone(server_pid, regions):
    """Whether neither live processes nor shared memory are left of a server; the kernel may need a moment."""
    for _ in range(100):
        if not live_group(server_pid) and not any((SHARED_MEMORY / region).exists() for region in regions):
            return True
        time.sleep(0.1)
    return False


def live_group(group):
    live = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                live.append(process)
    return live


def wait_until(condition, seconds=60):
    """What `condition` returns as soon as that is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (met := condition()):
        assert time.monotonic() < deadline, "this did not become true in time"
        time.sleep(0.02)
    return met
