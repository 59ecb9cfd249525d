"""Memory of a tritonserver on this machine and of all its stubs, from /proc."""

import re
from dataclasses import dataclass

from convai.backends.management.processes import PROC, children_of, command_line, process_ids

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
KIBIBYTE = 1024


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


def memory_of(pid: int | None) -> Memory | None:
    """Memory of a process and all below it; None if there is none, or if it may not be looked into."""
    if pid is None:
        return None
    try:
        sums = [rollup(process) for process in with_children(pid)]
    except OSError:  # it has ended, or it is another user's
        return None
    return Memory(len(sums), *(sum(column) for column in zip(*sums, strict=True)))


def with_children(pid: int) -> list[int]:
    return [pid] + [process for child in children_of(pid) for process in with_children(child)]


def rollup(pid: int) -> tuple[int, int]:
    """PSS and RSS of one process in bytes."""
    text = (PROC / str(pid) / "smaps_rollup").read_text()
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
    return KIBIBYTE * int(sizes["Pss"]), KIBIBYTE * int(sizes["Rss"])
