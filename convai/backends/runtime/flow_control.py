"""Flow control of streams: a decoupled step sends a response when the last step has acknowledged the one before.

Triton 2.51 hands every response of a decoupled step to the next step at once, which goes wrong in three ways:

* In an ensemble it numbers the tensors of each name as they arrive. If a step with two processes finishes a later
  response first, the next step receives the audio of one phrase with the mel of another.
* A long text fills all queues; requests behind it wait or are refused, and memory grows.
* Many long texts fill the queue of a network, which a short one then enters last.

Each response therefore carries a credit in its ticket (tensor `stream_ticket`), and a stream has one credit. The last
step returns the credit with a datagram to the sender's socket in Linux's abstract namespace, and the sender sends the
next response. A decoupled step that received a credit itself returns it once its own last response is acknowledged; it
reports at once that the response has arrived, because the network between the two steps is then free for another.

Only `max_in_flight` responses are on their way at a time, and one more that is at most half as large as each of these.
Of those that wait, the stream with the fewest chunks comes next, and among equals the smallest response. Each ticket
also carries the number of chunks that the stream has had by then, so that chunks are numbered across responses.

A caller can call the steps one by one, see the credits of its own stream, and return any to the last step; any local
user can send datagrams. So a credit is a random number that is valid once, and the kernel tells who sent a datagram.
"""

import heapq
import itertools
import logging
import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from convai.backends.runtime.failures import LimitReached

RANDOM_BITS = 63
MESSAGE = struct.Struct("!qq")  # number of a credit, chunks that the stream has had
SENDER = struct.Struct("iII")  # Linux's `ucred`: process, user, group
ARRIVED = -1  # instead of the number of chunks: the response has passed the network, but its sound is not made yet
MAX_STREAMS = 32
MAX_IN_FLIGHT = 4
SHORTEST_WAIT_SECONDS, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 2.0, 10.0  # for a response to arrive
POLL_SECONDS = 0.25
IDLE_SECONDS = 5.0  # a stream without an acknowledgement for this long does not count towards the limit
# In an ensemble, Triton 2.51 does not report that a caller has gone: it skips the following steps, so that no
# acknowledgement comes.
IDLE_TIMEOUT_SECONDS = 300.0
SEND_SECONDS = 1.0  # the receiver only reads, so it is never busy for this long


class Credit(NamedTuple):
    """The right to the next response of a stream.

    Attributes
    ----------
    socket : number in the address of the socket that wants it back
    number : random, of this response alone
    """

    socket: int
    number: int


NO_CREDIT = Credit(0, 0)  # nobody wants it back


class Stream(Protocol):
    """The responses of one request."""

    @property
    def size(self) -> int:
        """Of the next response, compared with that of other streams of the same step."""
        ...

    def send_next(self, credit: Credit, chunks: int) -> bool:
        """Send one response; False if that failed.

        Parameters
        ----------
        credit : to be returned for this response
        chunks : number of chunks that the stream has had before
        """
        ...

    @property
    def is_complete(self) -> bool:
        """Whether all responses were sent."""
        ...

    def finish(self, chunks: int) -> None:
        """Do what is left to do when the last response is acknowledged."""
        ...

    def abort(self, idle_seconds: float) -> None:
        """End the stream with an error, because it was idle for too long."""
        ...


@dataclass
class OpenStream:
    """A stream with a response that is not acknowledged; `is_in_flight` until that has passed the network."""

    stream: Stream
    size: int  # of the response
    sent: float = field(default_factory=time.monotonic)
    is_in_flight: bool = True


@dataclass(order=True)
class WaitingStream:
    """A stream whose next response may be sent; the least of them is sent first."""

    chunks: int
    size: int
    arrival: int
    stream: Stream = field(compare=False)


class FlowControl:
    """Keeps at most one response of each stream in flight.

    Parameters
    ----------
    max_streams : concurrent streams that have responses to send, idle ones not counted
    max_in_flight : responses on their way through the network, of all streams together; a small one comes on top
    idle_timeout_seconds : an idle stream is aborted after this time
    """

    def __init__(
        self,
        max_streams: int = MAX_STREAMS,
        max_in_flight: int = MAX_IN_FLIGHT,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
    ):
        self.max_streams, self.max_in_flight = max_streams, max_in_flight
        self.idle_timeout_seconds = idle_timeout_seconds
        self.streams: dict[int, OpenStream] = {}  # by the number of the credit that is out
        self.waiting: list[WaitingStream] = []  # a heap
        self.arrivals = itertools.count()
        # A response that has not arrived after this long has probably lost its caller, and holds up nobody any more.
        self.wait_seconds = FIRST_WAIT_SECONDS
        self.lock = threading.Lock()
        self.number = secrets.randbits(RANDOM_BITS)
        self.is_closed = False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(socket_address(self.number))
        self.socket.settimeout(min(POLL_SECONDS, idle_timeout_seconds / 4))
        threading.Thread(target=self._run, name="flow-control", daemon=True).start()

    def start(self, stream: Stream, chunks: int = 0) -> None:
        """Send the first response of a stream in its turn and each further one when the credit is back.

        Parameters
        ----------
        chunks : number of chunks that the stream has had from earlier responses of another step

        Raises
        ------
        LimitReached
        """
        with self.lock:
            idle_since = time.monotonic() - IDLE_SECONDS
            active = sum(one.sent > idle_since and not one.stream.is_complete for one in self.streams.values())
            if active + len(self.waiting) >= self.max_streams:
                raise LimitReached(f"{self.max_streams} streams are open, which is the limit; try again later")
            self._enqueue(stream, chunks)
            self._send_waiting()

    def close(self) -> None:
        self.is_closed = True
        with suppress(OSError):  # it is closed already
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self.socket.close()

    def _run(self) -> None:
        try:
            while not self.is_closed:
                self._receive()
        except Exception:
            if not self.is_closed:
                logging.exception("flow control has failed")
                end_process()

    def _receive(self) -> None:
        try:
            message, ancillary, _, _ = self.socket.recvmsg(MESSAGE.size + 1, socket.CMSG_SPACE(SENDER.size))
        except TimeoutError:
            pass
        else:
            if len(message) == MESSAGE.size and is_own_user(ancillary):
                self._take_back(*MESSAGE.unpack(message))
        self._abort_idle_streams()
        with self.lock:
            self._send_waiting()

    def _take_back(self, number: int, chunks: int) -> None:
        with self.lock:
            opened = self.streams.get(number)
            if opened is None:
                return
            self._record_arrival(opened)
            if chunks == ARRIVED:
                return
            del self.streams[number]
            with outlive_failure():
                if opened.stream.is_complete:
                    opened.stream.finish(chunks)
                else:
                    self._enqueue(opened.stream, chunks)

    def _record_arrival(self, opened: OpenStream) -> None:
        if opened.is_in_flight:
            opened.is_in_flight = False
            seconds = max(2 * (time.monotonic() - opened.sent), 0.9 * self.wait_seconds)
            self.wait_seconds = min(max(seconds, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)

    def _enqueue(self, stream: Stream, chunks: int) -> None:
        heapq.heappush(self.waiting, WaitingStream(chunks, stream.size, next(self.arrivals), stream))

    def _send_waiting(self) -> None:
        while self.waiting and self._has_room_for(self.waiting[0].size):
            turn = heapq.heappop(self.waiting)
            credit = Credit(self.number, secrets.randbits(RANDOM_BITS))
            with outlive_failure():
                if turn.stream.send_next(credit, turn.chunks):
                    self.streams[credit.number] = OpenStream(turn.stream, turn.size)

    def _has_room_for(self, size: int) -> bool:
        earliest = time.monotonic() - self.wait_seconds
        sizes = [one.size for one in self.streams.values() if one.is_in_flight and one.sent > earliest]
        is_small = len(sizes) == self.max_in_flight and size <= min(sizes) / 2
        return is_small or len(sizes) < self.max_in_flight

    def _abort_idle_streams(self) -> None:
        with self.lock:
            idle_since = time.monotonic() - self.idle_timeout_seconds
            for number, opened in list(self.streams.items()):
                if opened.sent < idle_since:
                    del self.streams[number]
                    if not opened.stream.is_complete:
                        with outlive_failure():
                            opened.stream.abort(self.idle_timeout_seconds)


@contextmanager
def outlive_failure() -> Generator[None]:
    """Log what goes wrong with one stream, because the others need the thread."""
    try:
        yield
    except Exception:
        logging.exception("a stream has failed")


def end_process() -> None:
    """End this step: without its thread, its streams would wait until they time out; the watchdog respawns it."""
    os._exit(1)


def is_own_user(ancillary: Iterable[tuple[int, int, bytes]]) -> bool:
    """Whether a process of this user has sent a datagram, according to the kernel."""
    return any(
        (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and SENDER.unpack(data)[1] == os.getuid()
        for level, kind, data in ancillary
    )


def acknowledge(tickets: Iterable[Sequence[int]]) -> None:
    """Return the credits in these tickets to their senders; a sender that has gone is no error.

    Parameters
    ----------
    tickets : each the two numbers of a credit, and the number of chunks that its stream has had
    """
    awaited = [(Credit(*credit), chunks) for *credit, chunks in tickets if tuple(credit) != NO_CREDIT]
    if not awaited:
        return  # as in most steps: opening a socket would cost every request time
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SEND_SECONDS)
        for credit, chunks in awaited:
            try:
                sender.sendto(MESSAGE.pack(credit.number, chunks), socket_address(credit.socket))
            except OSError:
                continue


def socket_address(number: int) -> str:
    return f"\0convai-flow-control-{number}"
