import os
import select
import socket

import pytest

from convai.backends.management.shutdown import count_connections, refuse_connections


def listen(family, host, count):
    """Open `count` sockets that share one port, as gRPC does."""
    sockets, port = [], 0
    for _ in range(count):
        each = socket.socket(family)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.bind((host, port))
        each.listen()
        port = each.getsockname()[1]
        sockets.append(each)
    return sockets, port


def accept_one(listeners):
    ready, *_ = select.select(listeners, [], [], 5)
    return ready[0].accept()[0]


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        caller.sendall(b"a request")
        return caller.recv(1)


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::ffff:127.0.0.1")],
)
def test_a_server_that_shuts_down_refuses_new_connections_and_keeps_its_own(family, host):
    listeners, port = listen(family, host, 3)
    caller = socket.create_connection(("127.0.0.1", port))
    with accept_one(listeners) as connection, refuse_connections(os.getpid(), port):
        for _ in range(20):
            with pytest.raises(ConnectionResetError):
                ask(port)
        caller.sendall(b"one more request")
        assert connection.recv(100) == b"one more request"
    with socket.create_connection(("127.0.0.1", port)), accept_one(listeners):
        pass


def test_only_open_connections_at_the_ports_count():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            assert count_connections(os.getpid(), (port,)) == 1
            assert count_connections(os.getpid(), (port + 1,)) == 0
        assert count_connections(os.getpid(), (port,)) == 0
