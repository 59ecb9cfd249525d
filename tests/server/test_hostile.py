"""A short form of `make hostile`: every message gets an answer that it may get, and nothing dies of it."""

import socket

import pytest
from support.talk_process import TalkProcess

from benchmarks.speed.chaos_load import EXAMPLES
from benchmarks.speed.hostile import Example, attack
from benchmarks.speed.hostile_messages import GrpcAttacks, HttpAttacks, WebSocketAttacks, WyomingAttacks
from benchmarks.speed.measured_server import list_process_tree
from benchmarks.speed.question_set import read_questions

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def targets(server):
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    with TalkProcess(f"--server={server.grpc_address}", f"--wyoming-port={port}") as talk:
        web = (HOST, int(talk.url.rpartition(":")[2]))
        yield (
            talk,
            {
                "gRPC": GrpcAttacks(server.grpc_address, read_questions(EXAMPLES)[0]),
                "HTTP": HttpAttacks(web),
                "WebSocket": WebSocketAttacks(web),
                "Wyoming": WyomingAttacks((HOST, port)),
            },
        )


def test_hostile_messages_are_refused_and_harm_nobody(server, client, targets):
    talk, targets = targets
    example = Example(client, read_questions(EXAMPLES)[0], talk.url)
    before = set(list_process_tree(server.process.pid))
    tallies = attack(targets, messages=300, per_second=1000, seed=7)
    assert [oddity for tally in tallies.values() for oddity in tally.oddities] == []
    assert not any("Traceback" in line for line in talk.lines)
    assert before <= set(list_process_tree(server.process.pid))
    attempt = example.attempt()
    assert (attempt.error, attempt.wrong) == (None, None)
