"""The TCP sockets of a running tritonserver, from /proc."""

import os
import socket
import struct
from collections.abc import Container
from dataclasses import dataclass

from convai.backends.management.processes import PROC

TABLES = {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6}
ESTABLISHED, LISTENING = "01", "0A"  # as the kernel writes a socket's state


@dataclass(frozen=True)
class TcpSocket:
    """One socket at its own end: the address and port that its process listens on."""

    family: socket.AddressFamily
    host: str
    port: int
    state: str


def tcp_sockets_of(pid: int, ports: Container[int]) -> list[TcpSocket]:
    """The sockets of a process at `ports`; none if it has ended."""
    try:
        inodes = inodes_of(pid)
        tables = {table: (PROC / str(pid) / "net" / table).read_text() for table in TABLES if has_table(pid, table)}
    except OSError:
        return []
    rows = [(TABLES[table], line.split()) for table, text in tables.items() for line in text.splitlines()[1:]]
    sockets = [read(family, row) for family, row in rows if int(row[9]) in inodes]
    return [each for each in sockets if each.port in ports]


def has_table(pid: int, table: str) -> bool:
    """A kernel without IPv6 has no table of its sockets."""
    return (PROC / str(pid) / "net" / table).exists()


def inodes_of(pid: int) -> set[int]:
    """Numbers of the sockets that a process has open."""
    inodes = set()
    for descriptor in (PROC / str(pid) / "fd").iterdir():
        try:
            kind, _, inode = os.readlink(descriptor).partition(":")
        except OSError:  # closed in this moment
            continue
        if kind == "socket":
            inodes.add(int(inode.strip("[]")))
    return inodes


def read(family: socket.AddressFamily, row: list[str]) -> TcpSocket:
    """A row of the kernel's table, whose address is written as 32-bit words in the byte order of the machine."""
    address, port = row[1].split(":")
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    return TcpSocket(family, socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)), int(port, 16), row[3])
