"""The whole pipeline in a process of its own, since the threads of an engine are set once for a whole process."""

import multiprocessing
import sys
import time
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.speed.in_process import Arrays, whole_pipeline
from convai.client.requests import Request
from convai.errors import InvalidArgument


@dataclass(frozen=True)
class Made:
    """What came of a request: the tensors that Triton would send, and how long all and each step took."""

    tensors: Arrays
    seconds: float
    step_seconds: dict[str, float]


class PipelineProcess:
    """`threads` are each network's; None for those of the profile."""

    def __init__(self, model_repository: Path, profile: str, threads: int | None = None):
        spawn = multiprocessing.get_context("spawn")
        self.connection, far_end = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(far_end, model_repository, profile, threads), daemon=True)
        self.process.start()
        far_end.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None  # it was started
        return self.process.pid

    def run(self, request: Request) -> Made:
        self.connection.send(request)
        made = self.connection.recv()
        if isinstance(made, Exception):
            raise made
        return made

    def close(self) -> None:
        self.connection.close()
        self.process.join()


def serve(connection: Connection, model_repository: Path, profile: str, threads: int | None) -> None:
    """Run what is asked until the other end is closed, or its process has died."""
    pipeline = None
    with suppress(EOFError), redirect_stdout(sys.stderr):  # engines tell of themselves; the output is the benchmark's
        while request := connection.recv():
            try:
                pipeline = pipeline or whole_pipeline(model_repository, profile, threads)
                start = time.perf_counter()
                tensors, step_seconds = pipeline.run(request)
                connection.send(Made(tensors, time.perf_counter() - start, step_seconds))
            except (InvalidArgument, OSError) as error:
                connection.send(error)
