"""Stop a server without losing a request: it stops being found, its connections end, and only then it is stopped.

Told to stop, Triton 2.51 unloads its models while its ports go on accepting, and refuses what comes in. Nothing closes
its ports from outside: what the kernel offers for that (pidfd_getfd) is forbidden in containers. So another socket,
bound beside Triton's with SO_REUSEPORT, takes every new connection and refuses it. The connections that Triton has
already got end by themselves: it asks gRPC's clients to leave after MAX_CONNECTION_AGE_SECONDS, and waits for
their answers.
"""

import ctypes
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager

from convai.backends.management.launcher import Server
from convai.backends.management.sockets import ESTABLISHED, LISTENING, TcpSocket, tcp_sockets_of

POLL_SECONDS = 0.1
SO_ATTACH_REUSEPORT_CBPF = 51
BPF_RETURN = 0x06
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 s


def retire(
    server: Server,
    drain_seconds: float,
    report: Callable[[str], None] = lambda line: None,
    is_hurried: Callable[[], bool] = lambda: False,
) -> None:
    """Let a running server finish what it has been asked, for at most `drain_seconds`, and stop it."""
    ports = (server.grpc_port, server.http_port)
    with ExitStack() as turned_away:
        if drain_seconds > 0:
            for port in ports:
                turned_away.enter_context(turning_away(tcp_sockets_of(server.process.pid, {port})))
            await_departures(server.process.pid, ports, drain_seconds, report, is_hurried)
        server.stop()


def await_departures(
    pid: int, ports: Sequence[int], seconds: float, report: Callable[[str], None], is_hurried: Callable[[], bool]
) -> None:
    """Return when the process has no connection at `ports` any more, after `seconds`, or in a hurry."""
    deadline = time.monotonic() + seconds
    time.sleep(POLL_SECONDS)  # the last connections that reached the server have yet to be accepted
    left = connections(pid, ports)
    if left:
        report(f"waiting up to {seconds:g} s for the end of {left} connections; once more stops at once")
    while left and time.monotonic() < deadline and not is_hurried():
        time.sleep(POLL_SECONDS)
        left = connections(pid, ports)
    if left:
        report(f"{left} connections had not ended")


def connections(pid: int, ports: Sequence[int]) -> int:
    return sum(each.state == ESTABLISHED for each in tcp_sockets_of(pid, ports))


@contextmanager
def turning_away(sockets: Sequence[TcpSocket]) -> Generator[None]:
    """Refuse new connections to the port that `sockets`, those of one process at one port, listen on."""
    listeners = [each for each in sockets if each.state == LISTENING]
    if not listeners:
        yield
        return
    with socket.socket(listeners[0].family) as refuser:
        take_over(refuser, listeners)
        thread = threading.Thread(target=refuse_all, args=[refuser], name="refuser", daemon=True)
        thread.start()
        yield
        refuser.shutdown(socket.SHUT_RDWR)
        thread.join()


def take_over(refuser: socket.socket, listeners: Sequence[TcpSocket]) -> None:
    """Have the kernel hand `refuser` all that arrives for the listeners, who must have set SO_REUSEPORT."""
    refuser.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if refuser.family == socket.AF_INET6:  # gRPC listens on IPv4 through it
        refuser.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    refuser.bind((listeners[0].host, listeners[0].port))
    refuser.listen()
    # A program of one instruction: choose the socket that joined the group last.
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RETURN, 0, 0, len(listeners)))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    refuser.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)


def refuse_all(refuser: socket.socket) -> None:
    while True:
        try:
            connection, _ = refuser.accept()
        except OSError:  # it is shut down
            return
        with connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
