"""The temporary directory of one running server: its backends, its log, and the names of its shared memory files.

It marks what belongs to the server, so that everything can be cleared even if the server or its launcher is killed: by
the reaper, a process that outlives the launcher, or by the next launcher after a power failure.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from convai.backends.management.processes import SHARED_MEMORY, command_line, regions_of

PREFIX = "convai-server-"
ENVIRONMENTS = Path("/tmp")  # Triton's Python backend makes an empty folder here, and leaves it if it is killed
SECONDS_TO_LOCK = 5  # a younger directory may belong to a launcher that has not locked it yet
SECONDS_TO_DIE = 5
REAPER = f"from {__name__} import run_reaper; run_reaper()"  # no program with options of its own


class RuntimeDirectory:
    """Created and locked by the launcher; if that is killed, the reaper ends the server and clears the directory."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.backends = self.path / "backends"
        self.log_file = self.path / "tritonserver.log"
        self.regions: set[str] = set()
        self._lock = open(self.path / "lock", "w")  # noqa: SIM115  held, and so open, until `remove`
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Not PR_SET_PDEATHSIG, which kills the server when the thread that started it ends, such as the watchdog's.
        self._reaper = subprocess.Popen(
            [sys.executable, "-Ic", REAPER, str(self.path)],
            cwd="/",
            stdin=subprocess.PIPE,
            start_new_session=True,  # what stops the launcher's process group must not stop it
        )

    def record_regions(self, regions: set[str]) -> None:
        """Record shared memory files, which are removed with the directory if the server has left them."""
        if not regions <= self.regions:
            (self.path / "regions").write_text("\n".join(self.regions | regions))
            self.regions |= regions

    def record_environments(self, since: float) -> None:
        """Record the folders that Triton's Python backend has made; those of servers that start just now too."""
        made = [str(folder) for folder in ENVIRONMENTS.glob("python_env_*") if read_change_time(folder) >= since]
        (self.path / "environments").write_text("\n".join(made))

    def remove(self) -> None:
        """Kill the stubs that outlived their server, and remove everything that it left."""
        clear(self.path)
        self._lock.close()
        self._reaper.communicate()  # closes its standard input, which ends it


def run_reaper() -> None:
    """Clear the directory that the program's argument names once standard input, a pipe from the launcher, ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the reaper must outlive a stop of all processes
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    directory = Path(sys.argv[1])
    if directory.exists():  # a graceful shutdown has removed it
        clear(directory)


def clear_abandoned() -> None:
    """Clear the directories of servers whose launcher was killed together with its reaper."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if is_abandoned(directory):
            clear(directory)


def is_abandoned(directory: Path) -> bool:
    try:
        if directory.lstat().st_uid != os.getuid():  # another user could let us delete any of our files
            return False
        with open(directory / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return time.time() - directory.stat().st_mtime > SECONDS_TO_LOCK
    except OSError:  # its launcher lives, or it is just being removed
        return False


def clear(directory: Path) -> None:
    processes = processes_of(directory)
    regions: set[str] = set().union(*(regions_of(process.pid) for process in processes))
    kill(processes)
    with suppress(FileNotFoundError):
        regions |= set((directory / "regions").read_text().split())
    for region in regions:
        (SHARED_MEMORY / region).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        for environment in (directory / "environments").read_text().split():
            with suppress(OSError):  # gone, as usual, or not empty
                Path(environment).rmdir()
    shutil.rmtree(directory, ignore_errors=True)


def read_change_time(path: Path) -> float:
    """When a file or folder was last changed; 0 if it is gone."""
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return 0.0


def processes_of(directory: Path) -> list[psutil.Process]:
    """The tritonserver and the stubs that were started from the directory."""
    return [process for process in psutil.process_iter() if is_of(directory, command_line(process.pid))]


def is_of(directory: Path, arguments: tuple[str, ...]) -> bool:
    is_stub = bool(arguments) and arguments[0].startswith(f"{directory}/")
    return is_stub or f"--backend-directory={directory / 'backends'}" in arguments


def kill(processes: list[psutil.Process]) -> None:
    """Kill the processes and wait until they are dead."""
    for process in processes:
        with suppress(psutil.Error):  # it has ended, or another user's process has copied the arguments
            process.kill()
    deadline = time.monotonic() + SECONDS_TO_DIE
    # Not psutil.wait_procs: it would wait for zombies too, which nobody may reap in a container.
    while any(command_line(process.pid) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.01)
