"""A DNS server that answers every query with the same addresses."""

import socket
import struct
import threading

HEADER_BYTES = 12
A_RECORD = 1
ANSWERED = 0x8180


class FakeDns:
    """Answers each query for IPv4 addresses with `hosts` while its context is open; no other records exist."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.socket.close()

    def serve(self):
        while not self.over.is_set():
            try:
                query, caller = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            self.socket.sendto(self.answer(query), caller)

    def answer(self, query):
        end = query.index(b"\0", HEADER_BYTES) + 5  # the name, then type and class
        question = query[HEADER_BYTES:end]
        (kind,) = struct.unpack("!H", question[-4:-2])
        hosts = self.hosts if kind == A_RECORD else []
        header = query[:2] + struct.pack("!HHHHH", ANSWERED, 1, len(hosts), 0, 0)
        pointer_to_name = 0xC000 | HEADER_BYTES
        records = [struct.pack("!HHHIH", pointer_to_name, A_RECORD, 1, 1, 4) + socket.inet_aton(host) for host in hosts]
        return header + question + b"".join(records)
