"""Flow control of streams: a decoupled step sends a response when the last step has acknowledged the one before.

Triton 2.51 hands every response of a decoupled step to the next step at once, which goes wrong in two ways:

* In an ensemble it numbers the tensors of each name as they arrive. If a step with two processes finishes a later
  response first, the next step receives the audio of one phrase with the mel of another.
* A long text fills all queues; requests behind it wait or are refused, and memory grows.

Each response therefore carries a ticket (tensor `stream_ticket`), and a stream has a credit of one response. The last
step acknowledges the ticket with a datagram to the sender's socket in Linux's abstract namespace, and the sender
sends the next response. A decoupled step that receives a ticket passes it on with its last response. Each ticket also
carries the number of chunks that the stream has had by then, so that chunks are numbered across responses.
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

STREAM_BITS = 32  # low bits of a ticket; the number of the sender's socket is above them
SOCKET_BITS = 31
NO_TICKET = 0  # a response with this ticket is not acknowledged
MESSAGE = struct.Struct("!qq")  # ticket, chunks that the stream has had
MAX_STREAMS = 16
IDLE_SECONDS = 5.0  # a stream without an acknowledgement for this long does not count towards the limit
# In an ensemble, Triton 2.51 does not report that a caller has gone: it skips the following steps, so that no
# acknowledgement comes.
IDLE_TIMEOUT_SECONDS = 300.0
SEND_SECONDS = 1.0  # the receiver only reads, so it is never busy for this long


class TooManyStreams(Exception):
    """The limit of concurrent streams is reached."""


class Stream(Protocol):
    """The responses of one request."""

    def send_next(self, ticket: int, chunks: int) -> bool:
        """Send one response; False if it was the last or failed.

        Parameters
        ----------
        ticket : to be acknowledged for this response
        chunks : number of chunks that the stream has had before
        """
        ...

    def abort(self, idle_seconds: float) -> None:
        """End the stream with an error, because it was idle for too long."""
        ...


@dataclass
class OpenStream:
    stream: Stream
    acknowledged: float = field(default_factory=time.monotonic)  # when its last response was


class FlowControl:
    """Keeps one response of each stream in flight.

    Parameters
    ----------
    max_streams : concurrent streams, idle ones not counted
    idle_timeout_seconds : an idle stream is aborted after this time
    """

    def __init__(self, max_streams: int = MAX_STREAMS, idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS):
        self.max_streams = max_streams
        self.idle_timeout_seconds = idle_timeout_seconds
        self.streams: dict[int, OpenStream] = {}  # by ticket
        self.lock = threading.Lock()
        number = secrets.randbits(SOCKET_BITS)
        self.tickets = count((number << STREAM_BITS) + 1)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(socket_address(number))
        self.socket.settimeout(idle_timeout_seconds / 4)
        threading.Thread(target=self._receive, name="flow-control", daemon=True).start()

    def start(self, stream: Stream, chunks: int = 0) -> None:
        """Send the first response of a stream now and each further one when the one before is acknowledged.

        Parameters
        ----------
        chunks : number of chunks that the stream has had from earlier responses of another step

        Raises
        ------
        TooManyStreams
        """
        with self.lock:
            idle_since = time.monotonic() - IDLE_SECONDS
            if sum(one.acknowledged > idle_since for one in self.streams.values()) >= self.max_streams:
                raise TooManyStreams(f"{self.max_streams} streams are open, which is the limit; try again later")
            ticket = next(self.tickets)
            if stream.send_next(ticket, chunks):
                self.streams[ticket] = OpenStream(stream)

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> None:
        while True:
            try:
                self._send_next(*MESSAGE.unpack(self.socket.recv(MESSAGE.size)))
            except TimeoutError:
                pass
            except OSError:
                return  # closed
            self._abort_idle_streams()

    def _send_next(self, ticket: int, chunks: int) -> None:
        with self.lock:
            if (opened := self.streams.get(ticket)) is None:
                return
            opened.acknowledged = time.monotonic()
            if not opened.stream.send_next(ticket, chunks):
                del self.streams[ticket]

    def _abort_idle_streams(self) -> None:
        with self.lock:
            idle_since = time.monotonic() - self.idle_timeout_seconds
            for ticket, opened in list(self.streams.items()):
                if opened.acknowledged < idle_since:
                    del self.streams[ticket]
                    opened.stream.abort(self.idle_timeout_seconds)


def acknowledge(tickets: Iterable[Sequence[int]]) -> None:
    """Report to the senders of these tickets that their responses are done; a sender that has gone is no error.

    Parameters
    ----------
    tickets : each with the number of chunks that its stream has had
    """
    awaited = [(ticket, chunks) for ticket, chunks in tickets if ticket > NO_TICKET]
    if not awaited:
        return  # as in most steps: opening a socket would cost every request time
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SEND_SECONDS)
        for ticket, chunks in awaited:
            try:
                sender.sendto(MESSAGE.pack(ticket, chunks), socket_address(ticket >> STREAM_BITS))
            except OSError:
                continue


def socket_address(number: int) -> str:
    return f"\0convai-flow-control-{number}"
