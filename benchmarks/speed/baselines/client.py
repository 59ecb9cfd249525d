"""Starts a baseline's server processes and sends them questions."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib.util import find_spec
from threading import Lock, Timer

import urllib3

from benchmarks.speed.baselines import BaselineSetup
from benchmarks.speed.baselines.server import HOST, READY
from benchmarks.speed.baselines.wire import pack_question, unpack_answer
from benchmarks.speed.measured_server import list_process_tree
from benchmarks.speed.paths import AnswerPath, EnsemblePath, Reply
from benchmarks.speed.question_set import Question
from convai.backends.management.launcher import resolve_ports
from convai.backends.management.tritonserver import server_environment
from convai.client.client import ConvaiClient
from convai.errors import InvalidArgument

PACKAGES = {"fastapi": ("fastapi", "uvicorn"), "ray": ("ray",), "pytriton": ("pytriton",)}
START_SECONDS = 600.0  # on a busy machine
STOP_SECONDS = 20.0
TIMEOUT_SECONDS = 600.0
MOST_CONNECTIONS = 64


@contextmanager
def open_baseline(name: str, setup: BaselineSetup) -> Iterator[AnswerPath]:
    """Start a baseline and yield the path to it. Raises InvalidArgument if a package is missing."""
    for package in PACKAGES[name]:
        if find_spec(package) is None:
            raise InvalidArgument(f"{package} is not installed; run pip install '.[baselines]' in a clone")
    with ExitStack() as stack:
        count = setup.cores if name == "fastapi" else 1  # the others start their own replicas
        servers = [stack.enter_context(closing(BaselineServer(name, setup))) for _ in range(count)]
        for server in servers:
            server.wait_until_ready()
        if name == "pytriton":
            address = f"{HOST}:{servers[0].port}"
            client = stack.enter_context(ConvaiClient(address, timeout_seconds=TIMEOUT_SECONDS))
            path = EnsemblePath(client, servers[0].list_processes)
            path.statistics = None  # PyTriton does not expose them
            yield path
        else:
            yield HttpPath(servers)


class BaselineServer:
    """A server process that runs until `close`."""

    def __init__(self, baseline: str, setup: BaselineSetup):
        (self.port,) = resolve_ports(HOST, {"--port": 0})
        options = {
            "--model-repository": setup.model_repository,
            "--profile": setup.profile,
            "--threads": setup.threads,
            "--cores": setup.cores,
            "--port": self.port,
            "--manifest": setup.manifest,
            "--limit": setup.limit,
        }
        command = [sys.executable, "-m", "benchmarks.speed.baselines.server", baseline, "--debug"]
        self.baseline = baseline
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  `close` closes it
        self.process = subprocess.Popen(
            command + [f"{name}={value}" for name, value in options.items() if value is not None],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=server_environment() | {"OMP_NUM_THREADS": "1"},  # the same memory allocator as our server
            text=True,
            start_new_session=True,  # so that Ctrl-C reaches it through `close` only
        )

    def wait_until_ready(self) -> None:
        """Raises OSError with the end of the server's log if it does not start."""
        assert self.process.stdout is not None  # a pipe, as requested above
        deadline = Timer(START_SECONDS, self.process.kill)
        deadline.start()
        is_ready = any(line == f"{READY}\n" for line in self.process.stdout)
        deadline.cancel()
        if not is_ready:
            self.log.seek(0)
            raise OSError(f"{self.baseline} did not start:\n{self.log.read()[-2000:]}")

    def list_processes(self) -> list[int]:
        return list_process_tree(self.process.pid)

    def close(self) -> None:
        """Stop it and everything it started, after STOP_SECONDS by force."""
        processes = self.list_processes()
        with suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=STOP_SECONDS)  # closes its input
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
        self.log.close()


class HttpPath:
    """Sends each question to the server with the fewest in flight: an ideal load balancer, at no cost."""

    statistics = None

    def __init__(self, servers: Sequence[BaselineServer]):
        self.servers = servers
        self.in_flight = {server.port: 0 for server in servers}
        self.lock = Lock()
        self.connections = urllib3.PoolManager(maxsize=MOST_CONNECTIONS, timeout=TIMEOUT_SECONDS, retries=False)

    def ask(self, question: Question) -> Reply:
        start = time.perf_counter()
        with self.reserve_port() as port:
            response = self.connections.request("POST", f"http://{HOST}:{port}/", body=pack_question(question))
        if response.status != 200:
            raise OSError(f"status {response.status}: {response.data[:200]!r}")
        return Reply(unpack_answer(response.data), time.perf_counter() - start, {})

    @contextmanager
    def reserve_port(self) -> Iterator[int]:
        with self.lock:
            port = min(self.in_flight, key=self.in_flight.__getitem__)
            self.in_flight[port] += 1
        try:
            yield port
        finally:
            with self.lock:
                self.in_flight[port] -= 1

    def list_processes(self) -> list[int]:
        return [process for server in self.servers for process in server.list_processes()]
