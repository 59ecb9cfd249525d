"""A step whose process is killed under load comes back by itself; only requests in flight at that moment are lost."""

import os
import signal
import threading
import time

import pytest
from support.sounds import chirp

from convai.backends.management.processes import stubs_of
from convai.client import ConvaiClient, ConvaiError

BACK_WITHIN_SECONDS = 10
IN_FLIGHT = 3
CONTEXT = "Ada wrote the first program."


class Load:
    """Asks for text answers from several threads until told to stop; notes when each request ended and how."""

    def __init__(self, address):
        self.address = address
        self.stopping = threading.Event()
        self.ended = []
        self.threads = [threading.Thread(target=self.ask_on_and_on) for _ in range(IN_FLIGHT)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def ask_on_and_on(self):
        with ConvaiClient(self.address, timeout_seconds=30) as client:
            while not self.stopping.is_set():
                started = time.monotonic()
                try:
                    client.ask(chirp(0.5), sample_rate=16_000, context=CONTEXT)
                    succeeded = True
                except ConvaiError:
                    succeeded = False
                self.ended.append((started, time.monotonic(), succeeded))


@pytest.mark.parametrize("step", ["ctc_decoder", "bert", "tacotron2"])
def test_a_step_of_which_a_process_is_killed_is_back_within_ten_seconds_under_load(server, step):
    with Load(server.grpc_address) as load:
        wait_until(lambda: any(succeeded for *_, succeeded in load.ended), 60)
        os.kill(next(stub.pid for stub in stubs_of(server.process.pid) if stub.model == step), signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: any(started > killed + 1 and ok for started, _, ok in load.ended), 60)
        back = min(started for started, _, ok in load.ended if ok and started > killed + 1)
        wait_until(lambda: sum(started > back for started, *_ in load.ended) >= 2 * IN_FLIGHT, 60)
    assert back - killed < BACK_WITHIN_SECONDS
    assert all(ok for started, _, ok in load.ended if started > killed + BACK_WITHIN_SECONDS)
    assert all(ok for _, ended, ok in load.ended if ended < killed)


def wait_until(condition, timeout_seconds):
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
