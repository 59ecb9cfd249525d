"""Memory and processor time of a server on this machine, over all its processes, from /proc."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from convai.backends.management.processes import PROC, children_of, command_line, process_ids, status_of

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
KIBIBYTE = 1024
PROCESSOR_TIMES = slice(11, 15)  # of `status_of`: user, system, and both of children that have ended
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


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
    ids = [pid for pid in process_ids() if is_server(command_line(pid), port)]
    return ids[0] if len(ids) == 1 else None


def is_server(arguments: tuple[str, ...], port: str) -> bool:
    return bool(arguments) and arguments[0].endswith("tritonserver") and f"--grpc-port={port}" in arguments


def with_children(pid: int) -> list[int]:
    return [pid] + [process for child in children_of(pid) for process in with_children(child)]


def memory_of(processes: Iterable[int]) -> Memory | None:
    """Memory of those that are alive; None if none is, or if they may not be looked into."""
    sums = [sizes for process in processes if (sizes := rollup(process))]
    return Memory(len(sums), *(sum(column) for column in zip(*sums, strict=True))) if sums else None


def processor_seconds(processes: Iterable[int]) -> float:
    """User and system time since they started, with that of children that they have outlived."""
    return sum(sum(map(int, status_of(process)[PROCESSOR_TIMES])) for process in processes) / TICKS_PER_SECOND


def rollup(pid: int) -> tuple[int, int] | None:
    """PSS and RSS of one process in bytes; None if it has ended, or is another user's."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
    return KIBIBYTE * int(sizes["Pss"]), KIBIBYTE * int(sizes["Rss"])
