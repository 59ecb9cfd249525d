"""Holds the responses of a decoupled step back until the steps after it have done the one before.

Triton 2.51 hands every response of a decoupled step to the next step at once, which goes wrong in two ways:

* In an ensemble, it numbers the tensors of each name as they arrive. Where a step with two processes finishes a later
  response first, the step after it gets the audio of one phrase with the mel of another.
* Whoever sends a long text first fills all queues; others wait behind it or are refused, and memory grows.

So each response carries a ticket. The step that takes the ticket, the last one, tells the sender when it has done that
row, through a datagram to a socket in Linux's abstract namespace, and the sender sends the next. A decoupled step that
gets a ticket passes it on with its last response. Beside each ticket stands how many chunks the stream will then have
had, so that they can be numbered through.
"""

import secrets
import socket
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

STREAM_BITS = 32  # of a ticket, the lower ones; above them stands the number of the socket
SOCKET_BITS = 31
UNPACED = 0  # the ticket of what nobody waits for
MESSAGE = struct.Struct("!qq")  # a ticket, and how many chunks the stream has had
RESTING_SECONDS = 5.0  # after which a stream does not count as one that keeps the server busy
SEND_SECONDS = 1.0  # the socket's owner only reads, so that this long it never is busy


class Busy(Exception):
    """As many streams as are allowed are on their way."""


class Stream(Protocol):
    """The responses of one request."""

    def send_next(self, ticket: int, chunks: int) -> bool:
        """Send one more, before which the stream had so many chunks; False if it was the last, or failed."""
        ...

    def give_up(self, seconds: float) -> None:
        """End it: nothing of it was done for so long."""
        ...


@dataclass
class Paced:
    stream: Stream
    moved: float = field(default_factory=time.monotonic)  # when something of it was done last


class Pacer:
    """Keeps one response of each stream on its way, and sends the next when that is done.

    Parameters
    ----------
    max_streams : at once, not counting those that rest
    patience_seconds : how long a stream may rest. In an ensemble, Triton 2.51 tells nobody that a caller has gone: the
        steps after are no longer run, and no ticket comes back.
    """

    def __init__(self, max_streams: int, patience_seconds: float):
        self.max_streams = max_streams
        self.patience_seconds = patience_seconds
        self.streams: dict[int, Paced] = {}  # by ticket
        self.lock = threading.Lock()
        number = secrets.randbits(SOCKET_BITS)
        self.tickets = count((number << STREAM_BITS) + 1)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address(number))
        self.socket.settimeout(patience_seconds / 4)
        threading.Thread(target=self._listen, name="pacer", daemon=True).start()

    def start(self, stream: Stream, chunks: int = 0) -> None:
        """Send the first response of a stream, and the others in due time; Busy if there are too many.

        Parameters
        ----------
        chunks : that the stream has had from another step's responses before
        """
        with self.lock:
            since = time.monotonic() - RESTING_SECONDS
            if sum(paced.moved > since for paced in self.streams.values()) >= self.max_streams:
                raise Busy(f"{self.max_streams} streams are on their way, as many as are allowed")
            ticket = next(self.tickets)
            if stream.send_next(ticket, chunks):
                self.streams[ticket] = Paced(stream)

    def close(self) -> None:
        self.socket.close()

    def _listen(self) -> None:
        while True:
            try:
                self._advance(*MESSAGE.unpack(self.socket.recv(MESSAGE.size)))
            except TimeoutError:
                pass
            except OSError:
                return  # closed
            self._give_up_resting()

    def _advance(self, ticket: int, chunks: int) -> None:
        with self.lock:
            paced = self.streams.get(ticket)
            if paced is None:
                return
            paced.moved = time.monotonic()
            if not paced.stream.send_next(ticket, chunks):
                del self.streams[ticket]

    def _give_up_resting(self) -> None:
        with self.lock:
            since = time.monotonic() - self.patience_seconds
            for ticket, paced in list(self.streams.items()):
                if paced.moved < since:
                    del self.streams[ticket]
                    paced.stream.give_up(self.patience_seconds)


def tell_done(tickets: Iterable[Sequence[int]]) -> None:
    """Tell whoever gave these tickets that their rows are done; nobody may be there any more.

    Parameters
    ----------
    tickets : each with the number of chunks beside it
    """
    paced = [(ticket, chunks) for ticket, chunks in tickets if ticket > UNPACED]
    if not paced:
        return  # as after most steps: a socket for nothing is time taken from every request
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SEND_SECONDS)
        for ticket, chunks in paced:
            try:
                sender.sendto(MESSAGE.pack(ticket, chunks), address(ticket >> STREAM_BITS))
            except OSError:
                continue


def address(number: int) -> str:
    return f"\0convai-pacer-{number}"
