import socket
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
import tritonclient.grpc as triton
from support.convai_process import wait_until
from support.tiny_repository import AMPLIFIER, write_repository
from support.triton_requests import infer

from convai.backends.management.launcher import Server
from convai.backends.management.shutdown import count_connections, shut_down
from convai.client.connection import Connection

SLOW_SECONDS = 3.0
INPUTS = {"x": np.float32([1, 2]), "note": b"any"}


@pytest.fixture
def repository(tmp_path):
    """With a step that is slow if the note says so."""
    folder = write_repository(tmp_path / "repository")
    slow = f'if note == "slow":\n            import time; time.sleep({SLOW_SECONDS})\n        if note == "fail"'
    (folder / "amplifier" / "1" / "model.py").write_text(AMPLIFIER.replace('if note == "fail"', slow))
    return folder


def test_no_request_is_lost_when_one_of_two_servers_shuts_down(repository):
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(repository, models=["amplifier"])) for _ in range(2)]
        options = Connection([server.grpc_address for server in servers]).options()
        client = stack.enter_context(triton.InferenceServerClient(**options))
        is_over, answers = threading.Event(), []

        def keep_asking():
            while not is_over.is_set():
                answers.append(infer(client, "amplifier", **INPUTS)["amplified"].tolist())
                time.sleep(0.02)

        callers = [threading.Thread(target=keep_asking) for _ in range(8)]
        for caller in callers:
            caller.start()
        try:
            wait_until(lambda: len(answers) >= 50)
            assert count_connections(servers[0].process.pid, [servers[0].grpc_port]) == 1
            shut_down(servers[0], 20)
            assert all(caller.is_alive() for caller in callers), "a caller ends when its request fails"
        finally:
            is_over.set()
            for caller in callers:
                caller.join()
        assert all(answer == [[2.5, 5.0]] for answer in answers)


def test_an_ensemble_in_flight_is_answered_and_new_connections_are_refused(repository):
    with Server(repository, models=["chain"]) as server, triton.InferenceServerClient(server.grpc_address) as client:
        answers = []
        slow = threading.Thread(target=lambda: answers.append(infer(client, "chain", **INPUTS | {"note": b"slow"})))
        slow.start()
        wait_until(lambda: count_connections(server.process.pid, [server.grpc_port]))
        stopping = threading.Thread(target=shut_down, args=[server, 20])
        stopping.start()
        time.sleep(0.5)
        with pytest.raises(ConnectionResetError):
            with socket.create_connection(("127.0.0.1", server.grpc_port), timeout=5) as late:
                late.recv(1)
        slow.join()
        client.close()  # rather than when Triton asks it to
        stopping.join()
    assert answers[0]["half"].tolist() == [[1.25, 2.5]]


def test_a_connection_that_stays_open_does_not_keep_the_server_from_stopping(repository):
    printed = []
    with Server(repository, models=["amplifier"]) as server:
        with socket.create_connection(("127.0.0.1", server.grpc_port)):
            shut_down(server, 2.0, printed.append)
            assert server.process.poll() is not None
    assert printed == [
        "waiting up to 2 s for 1 open connections; a second signal stops at once",
        "1 connections are still open",
    ]
