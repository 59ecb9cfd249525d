"""The temporary folder of one running server: its backend directory, its log, and the names of its shared memory.

Whatever a server leaves behind when it, or even its launcher, is killed can be told from other servers' by it.
"""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from convai.backends.processes import command_line, process_ids, remove_regions

PREFIX = "convai-server-"
SECONDS_TO_START = 60  # a younger folder may belong to a launcher that has not locked it yet


class RunFolder:
    """Created by the launcher, and locked for as long as it lives."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.backends = self.path / "backends"
        self.log_file = self.path / "tritonserver.log"
        self.regions = set()
        self._lock = open(self.path / "lock", "w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def note_regions(self, regions: set[str]) -> None:
        """Note shared memory files that will have to be removed if the server gets no chance to."""
        if not regions <= self.regions:
            self.regions |= regions
            (self.path / "regions").write_text("\n".join(self.regions))

    def remove(self) -> None:
        """End the stubs that outlived their server, and remove all that it left."""
        clear(self.path)
        self._lock.close()


def clear(folder: Path) -> None:
    for pid in processes_of(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    regions = folder / "regions"
    if regions.is_file():
        remove_regions(set(regions.read_text().split()))
    shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Clear the folders of servers that were killed together with their launcher."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if is_abandoned(folder):
            clear(folder)


def is_abandoned(folder: Path) -> bool:
    try:
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        age_seconds = time.time() - folder.stat().st_mtime
    except OSError:  # its launcher lives, it belongs to someone else, or it is just being removed
        return False
    return age_seconds > SECONDS_TO_START and not server_runs(folder)


def server_runs(folder: Path) -> bool:
    """Whether a tritonserver still uses the folder; it takes a while to stop when its launcher has died."""
    return any(f"--backend-directory={folder / 'backends'}" in command_line(pid) for pid in process_ids())


def processes_of(folder: Path) -> list[int]:
    """Stubs that were started from the folder."""
    return [pid for pid in process_ids() if command_line(pid)[:1] and command_line(pid)[0].startswith(f"{folder}/")]
