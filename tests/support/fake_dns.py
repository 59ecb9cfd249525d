"""A DNS server that answers every query with the same addresses."""

import socket
import struct
import threading
from contextlib import contextmanager

HEADER_BYTES = 12
A_RECORD = 1
ANSWERED = 0x8180


@contextmanager
def serving_dns(hosts):
    """The address of a DNS server; `hosts` are the IPv4 addresses in its answers, which a test may change."""
    is_over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)

        def serve():
            while not is_over.is_set():
                try:
                    query, caller = server.recvfrom(512)
                except TimeoutError:
                    continue
                server.sendto(answer(query, hosts), caller)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield "{}:{}".format(*server.getsockname())
        finally:
            is_over.set()
            thread.join()


def answer(query, hosts):
    end = query.index(b"\0", HEADER_BYTES) + 5  # the name, then type and class
    question = query[HEADER_BYTES:end]
    (kind,) = struct.unpack("!H", question[-4:-2])
    hosts = hosts if kind == A_RECORD else []
    header = query[:2] + struct.pack("!HHHHH", ANSWERED, 1, len(hosts), 0, 0)
    pointer_to_name = 0xC000 | HEADER_BYTES
    records = [struct.pack("!HHHIH", pointer_to_name, A_RECORD, 1, 1, 4) + socket.inet_aton(host) for host in hosts]
    return header + question + b"".join(records)
