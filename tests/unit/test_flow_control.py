"""A stream sends its next response when the one before is acknowledged, independently of other streams."""

import socket

import pytest
from support.convai_process import wait_until

from convai.backends.runtime import flow_control as module
from convai.backends.runtime.failures import LimitReached
from convai.backends.runtime.flow_control import ARRIVED, MESSAGE, NO_CREDIT, FlowControl, acknowledge


class RecordedStream:
    """A stream of `num_responses` that records its tickets."""

    def __init__(self, num_responses=10, size=1):
        self.left, self.size = num_responses, size
        self.tickets = []
        self.finished_chunks = None
        self.is_aborted = False

    @property
    def is_complete(self):
        return self.left == 0

    def send_next(self, credit, chunks):
        self.tickets.append((*credit, chunks + 1))
        self.left -= 1
        return True

    def finish(self, chunks):
        self.finished_chunks = chunks

    def abort(self, idle_seconds):
        self.is_aborted = True


@pytest.fixture
def flow_control():
    flow_control = FlowControl(max_streams=2)
    yield flow_control
    flow_control.close()


def test_a_stream_of_one_response_does_not_count_towards_the_limit(flow_control):
    streams = [RecordedStream(1) for _ in range(4)]
    for stream in streams:
        flow_control.start(stream)
    assert [stream.left for stream in streams] == [0] * 4
    acknowledge(streams[0].tickets)
    wait_until(lambda: streams[0].finished_chunks == 1)


def test_each_stream_has_its_own_acknowledgements(flow_control):
    quick, slow = RecordedStream(), RecordedStream()
    flow_control.start(quick)
    flow_control.start(slow)
    for num_sent in range(1, 5):
        wait_until(lambda num_sent=num_sent: len(quick.tickets) == num_sent)
        acknowledge(quick.tickets[-1:])
    wait_until(lambda: len(quick.tickets) == 5)
    assert len(slow.tickets) == 1


@pytest.fixture
def narrow():
    """One response in flight, and one more if it is small."""
    flow_control = FlowControl(max_in_flight=1)
    yield flow_control
    flow_control.close()


def test_a_small_response_overtakes_large_ones_of_which_the_next_is_sent_when_one_has_arrived(narrow):
    first, second, small = RecordedStream(size=100), RecordedStream(size=100), RecordedStream(1, size=50)
    for stream in (first, second, small):
        narrow.start(stream)
    assert [len(stream.tickets) for stream in (first, second, small)] == [1, 0, 1]
    acknowledge([(*credit, ARRIVED) for *credit, _ in (*first.tickets, *small.tickets)])
    wait_until(lambda: second.tickets)
    assert len(first.tickets) == 1  # it has arrived, but not all is done


def test_streams_with_few_chunks_come_before_those_with_many(narrow):
    ahead, behind, first = RecordedStream(), RecordedStream(), RecordedStream()
    narrow.start(ahead, chunks=7)
    narrow.start(behind, chunks=3)
    narrow.start(first)
    assert (len(ahead.tickets), len(behind.tickets), len(first.tickets)) == (1, 0, 0)
    acknowledge(ahead.tickets)
    for num_sent in (1, 2, 3):  # up to as many chunks as `behind` has had
        wait_until(lambda num_sent=num_sent: len(first.tickets) == num_sent)
        acknowledge(first.tickets[-1:])
    wait_until(lambda: behind.tickets)
    assert len(ahead.tickets) == 1


def test_a_stream_whose_caller_has_gone_does_not_hold_the_network_for_long(narrow):
    narrow.wait_seconds = 0.2
    gone, next_one = RecordedStream(), RecordedStream()
    narrow.start(gone, chunks=1)
    narrow.start(next_one, chunks=1)
    wait_until(lambda: next_one.tickets)


def test_a_credit_is_valid_once_and_neither_forged_nor_foreign_ones_are(flow_control):
    """What a caller can do with the tickets of its own stream and the last step."""
    own, foreign = RecordedStream(), RecordedStream()
    flow_control.start(own)
    flow_control.start(foreign)
    sender, number, chunks = own.tickets[0]
    neighbours = [(sender, number + offset, chunks) for offset in range(-50, 51) if offset]
    acknowledge([*neighbours, (sender, 0, 0), *own.tickets * 5])
    wait_until(lambda: len(own.tickets) == 2)
    acknowledge(own.tickets[1:])
    wait_until(lambda: len(own.tickets) == 3)
    assert len({number for _, number, _ in own.tickets}) == 3
    assert len(foreign.tickets) == 1


@pytest.mark.parametrize("datagram", [b"", b"x", bytes(MESSAGE.size - 1), bytes(MESSAGE.size), bytes(1000)])
def test_a_datagram_that_returns_no_credit_is_ignored(flow_control, datagram):
    stream = RecordedStream()
    flow_control.start(stream)
    send(flow_control, datagram)
    acknowledge(stream.tickets)
    wait_until(lambda: len(stream.tickets) == 2)


def send(flow_control, datagram):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram, flow_control.socket.getsockname())


def test_a_datagram_of_another_user_is_ignored(flow_control, monkeypatch):
    stream = RecordedStream()
    flow_control.start(stream)
    own = module.os.getuid()
    answers = iter([own + 1])
    monkeypatch.setattr(module.os, "getuid", lambda: next(answers, own))
    (sender, number, _), *_ = stream.tickets
    acknowledge([(sender, number, 1), (sender, number, 2)])
    wait_until(lambda: len(stream.tickets) == 2)
    assert stream.tickets[1][2] == 3  # the first was ignored


class FailingStream(RecordedStream):
    def send_next(self, credit, chunks):
        super().send_next(credit, chunks)
        if len(self.tickets) == 2:
            raise RuntimeError("the response cannot be sent")
        return True


def test_a_stream_that_fails_leaves_the_others_alone(flow_control):
    failing, other = FailingStream(), RecordedStream()
    flow_control.start(failing)
    flow_control.start(other)
    acknowledge([failing.tickets[0], other.tickets[0]])
    wait_until(lambda: len(other.tickets) == 2)
    assert len(flow_control.streams) == 1


def test_a_step_without_its_socket_ends_so_that_the_watchdog_respawns_it(flow_control, monkeypatch):
    ended = []
    monkeypatch.setattr(module, "end_process", lambda: ended.append(True))
    flow_control.socket.shutdown(socket.SHUT_RDWR)
    flow_control.socket.close()
    wait_until(lambda: ended)


def test_one_stream_too_many_is_refused_unless_another_is_idle(flow_control, monkeypatch):
    for _ in range(2):
        flow_control.start(RecordedStream())
    with pytest.raises(LimitReached, match="2 streams"):
        flow_control.start(RecordedStream())
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    flow_control.start(RecordedStream())
    assert len(flow_control.streams) == 3


def test_a_stream_without_acknowledgements_is_aborted():
    flow_control = FlowControl(max_streams=2, idle_timeout_seconds=0.2)
    stream = RecordedStream()
    flow_control.start(stream)
    wait_until(lambda: stream.is_aborted)
    assert not flow_control.streams
    flow_control.close()


def test_an_acknowledgement_for_a_sender_that_has_gone_is_no_error(flow_control):
    stream = RecordedStream()
    flow_control.start(stream)
    flow_control.close()
    acknowledge([(*NO_CREDIT, 0), (7, 1, 0), stream.tickets[0], (-1, -1, -1)])
