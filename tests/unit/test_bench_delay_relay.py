import os
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from convai.benchmarks.speed.delay_relay import DelayRelay


@contextmanager
def echo_server():
    """The address of a server that sends back what it gets, to one caller."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def echo():
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@contextmanager
def connected(address):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def receive(connection, size):
    received = b""
    while len(received) < size and (data := connection.recv(65536)):
        received += data
    return received


def test_what_passes_is_held_back_by_the_round_trip_and_arrives_unchanged():
    message = os.urandom(3_000_000)
    with echo_server() as address, DelayRelay(address, 0.2) as relay, connected(relay.address) as connection:
        start = time.monotonic()
        connection.sendall(b"?")
        assert receive(connection, 1) == b"?"
        assert 0.2 <= time.monotonic() - start < 1
        sender = threading.Thread(target=connection.sendall, args=(message,))
        sender.start()
        assert receive(connection, len(message)) == message
        sender.join()


def test_the_end_of_a_connection_passes_too():
    with echo_server() as address, DelayRelay(address, 0.02) as relay, connected(relay.address) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert receive(connection, 1) == b""


def test_a_server_that_is_not_there_is_not_there_behind_the_relay_either():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with DelayRelay(address, 0.02) as relay, connected(relay.address) as connection:
        assert receive(connection, 1) == b""


def test_no_delay_needs_no_relay():
    with pytest.raises(ValueError, match="round_trip_seconds is 0"):
        DelayRelay("127.0.0.1:1", 0)
