"""The server that a benchmark measures: one of its own, or a running one; near, or behind a delay."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.delay_relay import DelayRelay
from benchmarks.speed.server_memory import Memory, memory_of, server_at, with_children
from convai.backends.management.launcher import Server


@dataclass(frozen=True)
class MeasuredServer:
    """
    Attributes
    ----------
    address : what questions are sent to; the relay's if there is a delay
    pid : of tritonserver; None if it is on another machine
    ready_seconds : from start to readiness; None if it ran before
    """

    address: str
    pid: int | None
    ready_seconds: float | None

    def memory(self) -> Memory | None:
        return memory_of(self.processes())

    def processes(self) -> list[int]:
        """Process ids of tritonserver and its stubs; none of a server on another machine."""
        return with_children(self.pid) if self.pid else []


@contextmanager
def measured_server(
    address: str | None, model_repository: Path, profile: str, round_trip_seconds: float = 0.0
) -> Iterator[MeasuredServer]:
    """The server at `address`; for None one over `model_repository` that is started and stopped."""
    with ExitStack() as stack:
        ready_seconds = None
        if address is None:
            start = time.monotonic()
            server = stack.enter_context(Server(model_repository, profile=profile))
            ready_seconds = time.monotonic() - start
            address = server.grpc_address
        pid = server_at(address)
        if round_trip_seconds:
            address = stack.enter_context(DelayRelay(address, round_trip_seconds)).address
        yield MeasuredServer(address, pid, ready_seconds)
