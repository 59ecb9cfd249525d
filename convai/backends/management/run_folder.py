"""The temporary folder of one running server: its backend directory, its log, and the names of its shared memory.

Whatever a server leaves behind when it, or even its launcher, is killed can be told from other servers' by it.
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

from convai.backends.management.processes import command_line, process_ids, regions_of, remove_regions

PREFIX = "convai-server-"
SECONDS_TO_LOCK = 5  # a younger folder may belong to a launcher that has not locked it yet
SECONDS_TO_DIE = 5
GUARDIAN = f"from {__name__} import guard; guard()"  # a process that outlives the launcher


class RunFolder:
    """Created by the launcher, and locked for as long as it lives; a guardian clears it if it gets killed."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.backends = self.path / "backends"
        self.log_file = self.path / "tritonserver.log"
        self.regions: set[str] = set()
        self._lock = open(self.path / "lock", "w")  # noqa: SIM115  held, and so open, until `remove`
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._guardian = subprocess.Popen(
            [sys.executable, "-Ic", GUARDIAN, str(self.path)],
            cwd="/",
            stdin=subprocess.PIPE,
            start_new_session=True,  # what stops the launcher's group must not stop it
        )

    def note_regions(self, regions: set[str]) -> None:
        """Note shared memory files that will have to be removed if the server gets no chance to."""
        if not regions <= self.regions:
            self.regions |= regions
            (self.path / "regions").write_text("\n".join(self.regions))

    def remove(self) -> None:
        """End the stubs that outlived their server, and remove all that it left."""
        clear(self.path)
        self._lock.close()
        self._guardian.communicate()  # which closes its standard input


def guard() -> None:
    """Clear the folder that the program's argument names, once standard input ends: a pipe held by the launcher."""
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever stops all processes leaves it to this one to be the last
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    folder = Path(sys.argv[1])
    if folder.exists():  # a launcher that ended in order has removed it
        clear(folder)


def clear(folder: Path) -> None:
    pids = processes_of(folder)
    regions: set[str] = set().union(*map(regions_of, pids))
    kill(pids)
    noted = folder / "regions"
    if noted.is_file():
        regions |= set(noted.read_text().split())
    remove_regions(regions)
    shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Clear the folders of servers whose launcher was killed; such a server may hang in its attempt to stop."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if is_abandoned(folder):
            clear(folder)


def is_abandoned(folder: Path) -> bool:
    try:
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return time.time() - folder.stat().st_mtime > SECONDS_TO_LOCK
    except OSError:  # its launcher lives, it belongs to someone else, or it is just being removed
        return False


def processes_of(folder: Path) -> list[int]:
    """The tritonserver and the stubs that were started from the folder."""
    return [pid for pid in process_ids() if is_of(folder, command_line(pid))]


def is_of(folder: Path, arguments: tuple[str, ...]) -> bool:
    is_stub = bool(arguments) and arguments[0].startswith(f"{folder}/")
    return is_stub or f"--backend-directory={folder / 'backends'}" in arguments


def kill(pids: list[int]) -> None:
    """Kill the processes and wait until they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + SECONDS_TO_DIE
    while any(command_line(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
