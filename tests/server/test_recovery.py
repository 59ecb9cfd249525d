"""If the process of a step is killed under load, the step comes back; only requests in flight at that moment fail."""

import os
import signal
import threading
import time

import pytest
from support.convai_process import wait_until
from support.sounds import chirp

from convai.backends.management.processes import stubs_of
from convai.client import ConvaiClient, ConvaiError

RECOVERED_SECONDS = 10
IN_FLIGHT = 3
CONTEXT = "Ada wrote the first program."


class Load:
    """Asks for text answers in several threads during `with`; `requests` holds start, end and success of each."""

    def __init__(self, address):
        self.address = address
        self.stopping = threading.Event()
        self.requests = []
        self.threads = [threading.Thread(target=self.keep_asking) for _ in range(IN_FLIGHT)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def keep_asking(self):
        with ConvaiClient(self.address, timeout_seconds=30) as client:
            while not self.stopping.is_set():
                started = time.monotonic()
                try:
                    client.ask(chirp(0.5), sample_rate=16_000, context=CONTEXT)
                    succeeded = True
                except ConvaiError:
                    succeeded = False
                self.requests.append((started, time.monotonic(), succeeded))


@pytest.mark.parametrize("step", ["ctc_decoder", "bert", "tacotron2"])
def test_a_step_whose_process_is_killed_comes_back_under_load(server, step):
    with Load(server.grpc_address) as load:
        wait_until(lambda: any(succeeded for *_, succeeded in load.requests))
        os.kill(next(stub.pid for stub in stubs_of(server.process.pid) if stub.model == step), signal.SIGKILL)
        killed = time.monotonic()
        recovered = killed + RECOVERED_SECONDS
        wait_until(lambda: sum(started > recovered for started, *_ in load.requests) >= 2 * IN_FLIGHT)
    assert all(succeeded for started, _, succeeded in load.requests if started > recovered)
    assert all(succeeded for _, ended, succeeded in load.requests if ended < killed)
