"""The server under measurement, and the processor time and memory of its processes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from convai.backends.management.launcher import Server

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
MEGABYTE = 1e6


@dataclass(frozen=True)
class MeasuredServer:
    """
    Attributes
    ----------
    pid : of tritonserver; None on another machine
    ready_seconds : from start to readiness; None if the server was running before
    """

    address: str
    pid: int | None
    ready_seconds: float | None = None

    def list_processes(self) -> list[int]:
        """Return the process ids of tritonserver and its stubs; none on another machine."""
        return list_process_tree(self.pid) if self.pid else []


@contextmanager
def open_server(address: str | None, model_repository: Path, profile: str) -> Iterator[MeasuredServer]:
    """Yield the server at `address`; for None, start one and stop it afterwards."""
    if address is not None:
        yield MeasuredServer(address, find_server(address))
        return
    start = time.monotonic()
    with Server(model_repository, profile=profile) as server:
        yield MeasuredServer(server.grpc_address, server.process.pid, time.monotonic() - start)


def find_server(address: str) -> int | None:
    """Return the process id of the tritonserver that listens at `address` (host:port); None if it is not local."""
    host, _, port = address.rpartition(":")
    if host not in LOCAL_HOSTS:
        return None
    commands = ((process.pid, process.info["cmdline"] or [""]) for process in psutil.process_iter(["cmdline"]))
    found = [pid for pid, words in commands if words[0].endswith("tritonserver") and f"--grpc-port={port}" in words]
    return found[0] if len(found) == 1 else None


def list_process_tree(pid: int) -> list[int]:
    """Return `pid` and all processes below it; none if it has ended."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def measure_pss(processes: Iterable[int]) -> float | None:
    """Return the memory of the processes in bytes, each shared page counted once; None if none is alive."""
    sizes = []
    for pid in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            sizes.append(psutil.Process(pid).memory_full_info().pss)
    return float(sum(sizes)) if sizes else None


def read_processor_seconds(processes: Iterable[int]) -> float:
    """Sum user and system time since the processes started, with that of their children that have ended."""
    seconds = 0.0
    for pid in processes:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds
