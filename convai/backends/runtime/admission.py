"""Admission control: a first step refuses a request while too many wait for the steps behind it.

The queues themselves have no limit. With one (`max_queue_size`), Triton 2.51 does not wake its batcher for a request
that arrives while all processes of a model are busy: it waits until another arrives or half a second is over.
How many requests wait is one of the metrics of the tritonserver that runs this step.
"""

import logging
import math
import os
import re
import time
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from convai.backends.runtime.failures import LimitReached

WAITING = re.compile(r'^nv_inference_pending_request_count\{model="([^"]*)"[^}]*\} (\d+)', re.MULTILINE)
TIMEOUT_SECONDS = 0.5
SECONDS_BETWEEN_READINGS = 0.02  # a reading takes 2 to 9 ms of a busy server
SECONDS_TO_TRUST = 0.5  # other models of the server fill the same queues meanwhile


class AdmissionControl:
    """Lets requests in while fewer than a limit wait for some steps, together.

    Parameters
    ----------
    steps : names of models
    limit : requests that may wait for them
    read_waiting : returns the number of requests that wait for models; OSError if it is unknown, which lets all in
    """

    def __init__(self, steps: Collection[str], limit: int, read_waiting: Callable[[Collection[str]], int]):
        self.steps, self.limit, self.read_waiting = steps, limit, read_waiting
        self.room = 0  # requests that can be let in before the next reading, even if none has left the queue since
        self.last_reading = -math.inf
        self.is_known = True

    def admit(self) -> None:
        """Let one request in, or raise LimitReached."""
        age = time.monotonic() - self.last_reading
        if age >= (SECONDS_BETWEEN_READINGS if self.room < 1 else SECONDS_TO_TRUST):
            self.room = self.limit - self._read()
            self.last_reading = time.monotonic()
        if self.room < 1:
            names = ", ".join(self.steps)
            raise LimitReached(f"{self.limit} requests wait for {names}, which is the limit; try again later")
        self.room -= 1

    def _read(self) -> int:
        try:
            waiting = self.read_waiting(self.steps)
        except OSError as error:
            if self.is_known:  # once; the next readings would say the same
                logging.warning("the number of waiting requests is unknown, so there is no limit: %s", error)
            self.is_known = False
            return 0
        self.is_known = True
        return waiting


class ServerMetrics:
    """The metrics of the tritonserver whose command line is given."""

    def __init__(self, command: Sequence[str]):
        parser = ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--allow-metrics", default="true")
        parser.add_argument("--metrics-address", default="127.0.0.1")
        parser.add_argument("--metrics-port", type=int, default=8002)
        options, _ = parser.parse_known_args(command)
        self.is_open = options.allow_metrics.lower() in ("true", "1")
        self.host, self.port = options.metrics_address, options.metrics_port  # Linux reaches itself at 0.0.0.0 too

    def read_waiting(self, models: Collection[str]) -> int:
        """Number of requests in the queues of models. Raises OSError."""
        if not self.is_open:  # another server may listen at the port
            raise OSError("the server has no metrics")
        with closing(HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)) as connection:
            try:
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
            except HTTPException as error:
                raise OSError(str(error)) from error
        return sum(int(count) for name, count in WAITING.findall(text) if name in models)


def read_parent_command() -> list[str]:
    """The command line of the tritonserver that has started this process."""
    # Not as text, which is ASCII in a stub: the interpreter that Triton embeds ignores the locale.
    return os.fsdecode(Path(f"/proc/{os.getppid()}/cmdline").read_bytes()).split("\0")
