import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from convai.backends.management.processes import SHARED_MEMORY, command_line
from convai.backends.management.retirement import connections, turning_away
from convai.backends.management.sockets import ESTABLISHED, LISTENING, tcp_sockets_of

LAUNCHER = """
import subprocess, sys, time
from convai.backends.management.run_folder import RunFolder
folder = RunFolder()
program = folder.path / "stub"
program.symlink_to(sys.executable)
stub = subprocess.Popen([str(program), "-c", "import time; time.sleep(60)"], executable=sys.executable)
folder.note_regions({sys.argv[1]})
print(folder.path, stub.pid, flush=True)
time.sleep(60)
"""


def listening(family, host, count):
    """So many sockets that share one port."""
    sockets, port = [], 0
    for _ in range(count):
        each = socket.socket(family)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.bind((host, port))
        each.listen()
        port = each.getsockname()[1]
        sockets.append(each)
    return sockets, port


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::ffff:127.0.0.1")],
)
def test_a_server_that_leaves_is_no_longer_found_but_keeps_its_connections(family, host):
    sockets, port = listening(family, host, 3)
    caller = socket.create_connection(("127.0.0.1", port))
    with turning_away(tcp_sockets_of(os.getpid(), {port})):
        for _ in range(20):
            with pytest.raises(ConnectionResetError):
                ask(port)
        caller.sendall(b"one more request")

    socket.create_connection(("127.0.0.1", port), timeout=5)
    for each in sockets:
        each.setblocking(False)
    accepted = [connection for each in sockets for connection in accept_all(each)]
    assert len(accepted) == 2
    assert b"one more request" in [received(connection) for connection in accepted]


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        caller.sendall(b"a request")
        return caller.recv(1)


def accept_all(listener):
    connections = []
    while True:
        try:
            connections.append(listener.accept()[0])
        except BlockingIOError:
            return connections


def received(connection):
    connection.setblocking(False)
    try:
        return connection.recv(100)
    except BlockingIOError:
        return b""


def test_the_sockets_of_a_process_are_told_with_their_state():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            found = [(each.host, each.state) for each in tcp_sockets_of(os.getpid(), {port})]
            assert sorted(found) == [("127.0.0.1", ESTABLISHED), ("127.0.0.1", LISTENING)]
            assert connections(os.getpid(), (port,)) == 1
        assert connections(os.getpid(), (port,)) == 0


def test_what_a_killed_launcher_leaves_is_cleared_within_a_second(tmp_path):
    region = SHARED_MEMORY / f"triton_python_backend_shm_region_{tmp_path.parent.name}"
    region.write_bytes(b"left behind")
    with subprocess.Popen([sys.executable, "-c", LAUNCHER, region.name], stdout=subprocess.PIPE, text=True) as launcher:
        folder, stub = launcher.stdout.readline().split()
        launcher.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while (os.path.exists(folder) or region.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not os.path.exists(folder)
    assert not region.exists()
    assert not command_line(int(stub))
