"""Asks servers that speak HTTP, each question that with the fewest in flight.

That is the best that a load balancer in front of them could do, and here it costs them nothing.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

import urllib3

from benchmarks.speed.baselines.server_process import RivalServer
from benchmarks.speed.baselines.wire import pack_question, unpack_answer
from benchmarks.speed.paths import Reply
from benchmarks.speed.question_set import Question

MOST_CONNECTIONS = 64
TIMEOUT_SECONDS = 600.0


class HttpPath:
    statistics = None

    def __init__(self, servers: Sequence[RivalServer]):
        self.servers = servers
        self.in_flight = dict.fromkeys((server.port for server in servers), 0)
        self.lock = Lock()
        self.connections = urllib3.PoolManager(maxsize=MOST_CONNECTIONS, timeout=TIMEOUT_SECONDS, retries=False)

    def ask(self, question: Question) -> Reply:
        start = time.perf_counter()
        with self.least_busy() as port:
            response = self.connections.request("POST", f"http://127.0.0.1:{port}/", body=pack_question(question))
        if response.status != 200:
            raise OSError(f"status {response.status}: {response.data[:200]!r}")
        answer = unpack_answer(response.data)
        return Reply(answer, time.perf_counter() - start, {})

    @contextmanager
    def least_busy(self) -> Iterator[int]:
        with self.lock:
            port = min(self.in_flight, key=self.in_flight.__getitem__)
            self.in_flight[port] += 1
        try:
            yield port
        finally:
            with self.lock:
                self.in_flight[port] -= 1

    def processes(self) -> list[int]:
        return [process for server in self.servers for process in server.processes()]
