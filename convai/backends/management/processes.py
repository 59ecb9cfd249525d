"""What /proc tells about a running tritonserver: its stubs, and the shared memory it holds."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
SHARED_MEMORY = Path("/dev/shm")
STUB = "triton_python_backend_stub"
REGION = re.compile(rf"{SHARED_MEMORY}/(triton_\w+_backend_shm_region_\S+)")  # \w+ is python, pytorch, ...


@dataclass(frozen=True)
class Stub:
    """One Python stub process: the process that runs one instance of one Python step or CPU network."""

    pid: int
    arguments: tuple[str, ...]

    @property
    def model(self) -> str:
        """The model that it runs: its ninth argument is the instance's name, <model>_<group>_<index>."""
        return self.arguments[8].rsplit("_", 2)[0]


def regions_of(server_pid: int) -> set[str]:
    """Names of the shared memory files through which a tritonserver talks to its stubs."""
    try:
        maps = (PROC / str(server_pid) / "maps").read_text()
    except OSError:  # it has ended
        return set()
    return set(REGION.findall(maps))


def stubs_of(server_pid: int) -> list[Stub]:
    """The live stubs of a tritonserver."""
    stubs = [Stub(pid, command_line(pid)) for pid in children_of(server_pid)]
    return [stub for stub in stubs if stub.arguments and Path(stub.arguments[0]).name == STUB]


def dead_children_of(pid: int) -> set[int]:
    """Children that have died, whose parent has not taken notice."""
    return {child for child in children_of(pid) if is_zombie(child)}


def children_of(pid: int) -> list[int]:
    return [other for other in process_ids() if parent_of(other) == pid]


def process_ids() -> list[int]:
    return [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]


def status_of(pid: int) -> list[str]:
    """State, parent and what follows the process's name in its stat file; empty if the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def parent_of(pid: int) -> int | None:
    status = status_of(pid)
    return int(status[1]) if status else None


def is_zombie(pid: int) -> bool:
    """Whether the process has died and waits for its parent to notice."""
    return status_of(pid)[:1] == ["Z"]


def command_line(pid: int) -> tuple[str, ...]:
    """Arguments of a process; empty if it is dead, even if its parent has not noticed."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ()
    return tuple(word.decode(errors="replace") for word in words[:-1])


def remove_regions(regions: set[str]) -> None:
    """Delete what a killed server left behind in shared memory."""
    for region in regions:
        (SHARED_MEMORY / region).unlink(missing_ok=True)
