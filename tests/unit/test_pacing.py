"""A stream runs ahead of the steps after it by a few responses, whoever else sends."""

import time

import pytest

from convai.backends.runtime.pacing import UNPACED, Busy, Pacer, tell_done


class Counted:
    """A stream of so many responses that notes what it was told."""

    def __init__(self, num_responses):
        self.left = num_responses
        self.tickets = []
        self.gave_up = False

    def send_next(self, ticket):
        self.tickets.append(ticket)
        self.left -= 1
        return self.left > 0

    def give_up(self, seconds):
        self.gave_up = True


@pytest.fixture
def pacer():
    pacer = Pacer(responses_ahead=3, max_streams=2, patience_seconds=60)
    yield pacer
    pacer.close()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_stream_sends_three_and_then_one_for_each_that_is_done(pacer):
    stream = Counted(10)
    pacer.start(stream)
    for done in range(7):
        wait_until(lambda: len(stream.tickets) == 3 + done)  # noqa: B023  called at once
        tell_done([stream.tickets[0]])
    wait_until(lambda: not pacer.streams)
    assert stream.left == 0


def test_a_short_stream_is_sent_at_once_and_holds_no_place(pacer):
    streams = [Counted(3) for _ in range(5)]
    for stream in streams:
        pacer.start(stream)
    assert [stream.left for stream in streams] == [0] * 5


def test_each_stream_is_paced_by_its_own_tickets(pacer):
    quick, slow = Counted(10), Counted(10)
    pacer.start(quick)
    pacer.start(slow)
    tell_done([quick.tickets[0]] * 4)
    wait_until(lambda: len(quick.tickets) == 7)
    assert len(slow.tickets) == 3


def test_one_stream_too_many_is_refused(pacer):
    for _ in range(2):
        pacer.start(Counted(10))
    with pytest.raises(Busy, match="2 streams"):
        pacer.start(Counted(10))


def test_a_stream_of_which_nothing_is_done_is_given_up():
    pacer = Pacer(responses_ahead=1, max_streams=2, patience_seconds=0.2)
    stream = Counted(10)
    pacer.start(stream)
    wait_until(lambda: stream.gave_up)
    assert not pacer.streams
    pacer.close()


def test_a_ticket_that_nobody_waits_for_is_no_error(pacer):
    gone = Counted(10)
    pacer.start(gone)
    pacer.close()
    tell_done([UNPACED, 7 << 32, gone.tickets[0], -1])
