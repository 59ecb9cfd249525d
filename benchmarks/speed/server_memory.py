"""Memory and processor time of a server on this machine, over all its processes."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from convai.backends.management.processes import command_line

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


@dataclass(frozen=True)
class Memory:
    """Sums over processes. PSS shares out pages among the processes that use them; RSS counts them for each."""

    processes: int
    pss_bytes: int
    rss_bytes: int


def server_at(address: str) -> int | None:
    """Process id of the tritonserver that listens at `address` (host:port); None if it is not on this machine."""
    host, _, port = address.rpartition(":")
    if host not in LOCAL_HOSTS:
        return None
    ids = [pid for pid in psutil.pids() if is_server(command_line(pid), port)]
    return ids[0] if len(ids) == 1 else None


def is_server(arguments: tuple[str, ...], port: str) -> bool:
    return bool(arguments) and arguments[0].endswith("tritonserver") and f"--grpc-port={port}" in arguments


def with_children(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def memory_of(processes: Iterable[int]) -> Memory | None:
    """Memory of those that are alive; None if none is, or if they may not be looked into."""
    sums = [sizes for process in processes if (sizes := rollup(process))]
    return Memory(len(sums), *(sum(column) for column in zip(*sums, strict=True))) if sums else None


def processor_seconds(processes: Iterable[int]) -> float:
    """User and system time since they started, with that of children that they have outlived."""
    seconds = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            seconds += sum(psutil.Process(process).cpu_times()[:4])  # user, system, and both of ended children
    return seconds


def rollup(pid: int) -> tuple[int, int] | None:
    """PSS and RSS of one process in bytes; None if it has ended, or is another user's."""
    try:
        memory = psutil.Process(pid).memory_full_info()
    except psutil.Error:
        return None
    return memory.pss, memory.rss
