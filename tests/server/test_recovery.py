"""If the process of a step is killed under load, the step comes back; only requests in flight at that moment fail."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.convai_process import wait_until
from support.sounds import chirp

from convai.backends.management.processes import stubs_of
from convai.client import ConvaiClient, ConvaiError

IN_FLIGHT = 3
CONTEXT = "Ada wrote the first program."


@pytest.fixture
def requests(server):
    """Start, end and success of each request that several callers send during the test."""
    is_over, requests = threading.Event(), []

    def keep_asking():
        with ConvaiClient(server.grpc_address, timeout_seconds=30) as client:
            while not is_over.is_set():
                started = time.monotonic()
                try:
                    client.ask(chirp(0.5), sample_rate=16_000, context=CONTEXT)
                    succeeded = True
                except ConvaiError:
                    succeeded = False
                requests.append((started, time.monotonic(), succeeded))

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for _ in range(IN_FLIGHT):
            pool.submit(keep_asking)
        yield requests
        is_over.set()


def test_a_step_whose_process_is_killed_comes_back_under_load(server, requests):
    wait_until(lambda: any(succeeded for *_, succeeded in requests))
    os.kill(next(stub.pid for stub in stubs_of(server.process.pid) if stub.model == "bert"), signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: have_succeeded(requests, since=killed))
    assert all(succeeded for _, ended, succeeded in requests if ended < killed)


def have_succeeded(requests, since):
    """Whether the last of the requests that were sent since then, two of each caller, have been answered."""
    last = [succeeded for started, _, succeeded in list(requests) if started > since][-2 * IN_FLIGHT :]
    return len(last) == 2 * IN_FLIGHT and all(last)
