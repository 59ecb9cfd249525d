"""A rival's server as a process that is started, waited for, looked into and stopped."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from benchmarks.speed.baselines.serving import HOST, READY
from benchmarks.speed.server_memory import with_children
from convai.backends.management.launcher import resolve_ports
from convai.backends.management.tritonserver import server_environment

PROGRAM = "benchmarks.speed.baselines.program"
START_SECONDS = 600.0  # of a busy machine
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class RivalSetup:
    """What a rival serves, how many threads each of its networks has, and what it is asked, to warm up with that."""

    model_repository: Path
    profile: str
    threads: int = 1  # with a process per core, more would get in each other's way
    manifest: Path | None = None
    limit: int | None = None

    @property
    def cores(self) -> int:
        """Those that this process may use, and so the ones it starts."""
        return len(os.sched_getaffinity(0))


class RivalServer:
    """A process that serves, from now to `close`; what it writes is shown if it does not start."""

    def __init__(self, rival: str, setup: RivalSetup):
        (self.port,) = resolve_ports(HOST, {"--port": 0})
        options = {
            "--model-repository": setup.model_repository,
            "--profile": setup.profile,
            "--threads": setup.threads,
            "--cores": setup.cores,
            "--port": self.port,
            "--manifest": setup.manifest,
            "--limit": setup.limit,
        }
        command = [sys.executable, "-m", PROGRAM, rival, "--debug"]
        self.rival = rival
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  `close` closes it
        self.process = subprocess.Popen(
            command + [f"{name}={value}" for name, value in options.items() if value is not None],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=server_environment() | {"OMP_NUM_THREADS": "1"},  # memory is kept as by our own server
            text=True,
            start_new_session=True,  # so that Ctrl-C reaches it by way of `close`
        )

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None  # a pipe, as asked for
        deadline = Timer(START_SECONDS, self.process.kill)
        deadline.start()
        is_ready = any(line == f"{READY}\n" for line in self.process.stdout)
        deadline.cancel()
        if not is_ready:
            self.log.seek(0)
            raise OSError(f"{self.rival} did not start:\n{self.log.read()[-2000:]}")

    def processes(self) -> list[int]:
        return with_children(self.process.pid)

    def close(self) -> None:
        """End it in order, or after some time by force; nothing of it is left."""
        processes = self.processes()
        with suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=STOP_SECONDS)  # closes its input
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
        self.log.close()
