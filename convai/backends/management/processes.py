"""The processes of a running tritonserver: its stubs, and the shared memory it holds."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")
STUB = "triton_python_backend_stub"
REGION = re.compile(rf"{SHARED_MEMORY}/(triton_\w+_backend_shm_region_\S+)")  # \w+ is python, pytorch, ...


@dataclass(frozen=True)
class Stub:
    """The process that runs one instance of a Python step or of a network on the CPU."""

    pid: int
    arguments: tuple[str, ...]

    @property
    def model(self) -> str:
        """The model that it runs: the ninth argument is the instance's name, <model>_<group>_<index>."""
        return self.arguments[8].rsplit("_", 2)[0]


def stubs_of(server_pid: int) -> list[Stub]:
    """The live stubs of a tritonserver."""
    stubs = [Stub(child.pid, command_line(child.pid)) for child in children_of(server_pid)]
    return [stub for stub in stubs if stub.arguments and Path(stub.arguments[0]).name == STUB]


def zombies_of(pid: int) -> set[int]:
    """Children that have died and that their parent has not reaped."""
    zombies: set[int] = set()
    for child in children_of(pid):
        with suppress(psutil.Error):
            if child.status() == psutil.STATUS_ZOMBIE:
                zombies.add(child.pid)
    return zombies


def children_of(pid: int) -> list[psutil.Process]:
    """The children of a process, zombies included; none if it has ended."""
    try:
        return psutil.Process(pid).children()
    except psutil.Error:
        return []


def command_line(pid: int) -> tuple[str, ...]:
    """Arguments of a process; empty if it has died, even if its parent has not reaped it."""
    try:
        return tuple(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ()


def regions_of(pid: int) -> set[str]:
    """Names of the shared memory files through which a tritonserver and its stubs exchange tensors."""
    try:
        files = psutil.Process(pid).open_files()
    except psutil.Error:  # it has ended
        return set()
    return {match[1] for file in files if (match := REGION.fullmatch(file.path))}
