"""Count the steps that run on this machine, so that a network takes several threads only while cores are idle.

A process that runs a step holds a lock on one byte of this file, at the position of its process id. The kernel keeps
these locks and releases those of a process that dies. They are Linux's "open file description" locks, so a query does
not find those of the process itself.
"""

import fcntl
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

FLOCK = struct.Struct("hhqqi4x")  # C's `struct flock`: type, whence, start, length, process
MAX_PROCESS_ID = 2**22


@contextmanager
def mark_busy() -> Generator[None]:
    """Count this process as busy within the `with` block."""
    _lock(fcntl.F_RDLCK)
    try:
        yield
    finally:
        _lock(fcntl.F_UNLCK)


def count_idle_cores(most: int) -> int:
    """The cores that other busy processes leave to this one: 1 to `most`."""
    idle = len(os.sched_getaffinity(0))
    ranges = [(0, MAX_PROCESS_ID + 1)]  # of process ids; a query reports any one lock within its range
    while idle > 1 and ranges:
        start, end = ranges.pop()
        query = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, end - start, 0)
        kind, _, found, _, _ = FLOCK.unpack(fcntl.fcntl(_open_file(), fcntl.F_OFD_GETLK, query))
        if kind != fcntl.F_UNLCK:
            idle -= 1
            ranges += [part for part in ((start, found), (found + 1, end)) if part[0] < part[1]]
    return min(idle, most)


@cache
def _open_file() -> int:
    return os.open(__file__, os.O_RDONLY)


def _lock(kind: int) -> None:
    fcntl.fcntl(_open_file(), fcntl.F_OFD_SETLK, FLOCK.pack(kind, os.SEEK_SET, os.getpid(), 1, 0))
