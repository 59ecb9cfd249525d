import socket
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
import tritonclient.grpc as triton
from support.tiny_repository import AMPLIFIER, write_repository
from support.triton_requests import infer

from convai.backends.management.launcher import Server
from convai.backends.management.retirement import connections, retire
from convai.client.connection import Connection

SLOW_SECONDS = 3.0
AMPLIFIED = {"x": np.float32([1, 2]), "note": b"any"}
AS_ANSWERED = [[2.5, 5.0]]


@pytest.fixture
def repository(tmp_path):
    """With a step that takes its time if it is told to."""
    folder = write_repository(tmp_path / "repository")
    slow = f'if note == "slow":\n            import time; time.sleep({SLOW_SECONDS})\n        if note == "fail"'
    (folder / "amplifier" / "1" / "model.py").write_text(AMPLIFIER.replace('if note == "fail"', slow))
    return folder


def test_none_of_many_requests_is_lost_when_a_server_is_stopped(repository):
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(repository, models=["amplifier"])) for _ in range(2)]
        options = Connection([server.grpc_address for server in servers]).options()
        client = stack.enter_context(triton.InferenceServerClient(**options))
        is_over, answers = threading.Event(), []

        def keep_asking():
            while not is_over.is_set():
                answers.append(infer(client, "amplifier", **AMPLIFIED)["amplified"].tolist())
                time.sleep(0.02)

        callers = [threading.Thread(target=keep_asking) for _ in range(8)]
        for caller in callers:
            caller.start()
        try:
            while len(answers) < 50 and any(caller.is_alive() for caller in callers):
                time.sleep(0.05)
            assert connections(servers[0].process.pid, [servers[0].grpc_port]) == 1
            retire(servers[0], 20)
            assert all(caller.is_alive() for caller in callers), "one ends when its request fails"
        finally:
            is_over.set()
            for caller in callers:
                caller.join()
        assert all(answer == AS_ANSWERED for answer in answers)


def test_an_ensemble_in_flight_is_answered_to_its_end_and_nobody_else_gets_in(repository):
    with Server(repository, models=["chain"]) as server, triton.InferenceServerClient(server.grpc_address) as client:
        answers = []
        slow = threading.Thread(target=lambda: answers.append(infer(client, "chain", **AMPLIFIED | {"note": b"slow"})))
        slow.start()
        while not server_is_busy(server):
            time.sleep(0.05)
        stopping = threading.Thread(target=retire, args=[server, 20])
        stopping.start()
        time.sleep(0.5)
        with pytest.raises(ConnectionResetError):
            with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=5) as late:
                late.recv(1)
        slow.join()
        stopping.join()
    assert answers[0]["half"].tolist() == [[1.25, 2.5]]


def server_is_busy(server):
    return connections(server.process.pid, [server.grpc_port]) > 0


def test_a_caller_who_does_not_leave_is_waited_for_no_longer_than_allowed(repository):
    said = []
    with Server(repository, models=["amplifier"]) as server:
        with socket.create_connection(("127.0.0.1", server.http_port)):
            start = time.monotonic()
            retire(server, 2.0, said.append)
            assert 2.0 < time.monotonic() - start < 15.0
    assert said == [
        "waiting up to 2 s for the end of 1 connections; once more stops at once",
        "1 connections had not ended",
    ]
