"""A stream sends its next response when the one before is done, whoever else sends."""

import time

import pytest

from convai.backends.runtime.pacing import UNPACED, Busy, Pacer, tell_done


class Counted:
    """A stream of so many responses that notes what it was told."""

    def __init__(self, num_responses):
        self.left = num_responses
        self.tickets = []
        self.gave_up = False

    def send_next(self, ticket, chunks):
        self.tickets.append((ticket, chunks))
        self.left -= 1
        return self.left > 0

    def give_up(self, seconds):
        self.gave_up = True


@pytest.fixture
def pacer():
    pacer = Pacer(max_streams=2, patience_seconds=60)
    yield pacer
    pacer.close()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_stream_sends_one_response_whenever_one_is_done(pacer):
    stream = Counted(10)
    pacer.start(stream)
    for done in range(9):
        wait_until(lambda: len(stream.tickets) == 1 + done)  # noqa: B023  called at once
        tell_done([stream.tickets[0]])
    wait_until(lambda: not pacer.streams)
    assert stream.left == 0


def test_a_stream_hears_how_many_chunks_it_has_had(pacer):
    stream = Counted(10)
    pacer.start(stream, chunks=3)
    ((ticket, _),) = stream.tickets
    tell_done([(ticket, 5)])
    wait_until(lambda: len(stream.tickets) == 2)
    assert [chunks for _, chunks in stream.tickets] == [3, 5]


def test_a_stream_of_one_response_holds_no_place(pacer):
    streams = [Counted(1) for _ in range(5)]
    for stream in streams:
        pacer.start(stream)
    assert [stream.left for stream in streams] == [0] * 5


def test_each_stream_is_paced_by_its_own_tickets(pacer):
    quick, slow = Counted(10), Counted(10)
    pacer.start(quick)
    pacer.start(slow)
    tell_done([quick.tickets[0]] * 4)
    wait_until(lambda: len(quick.tickets) == 5)
    assert len(slow.tickets) == 1


def test_one_stream_too_many_is_refused(pacer):
    for _ in range(2):
        pacer.start(Counted(10))
    with pytest.raises(Busy, match="2 streams"):
        pacer.start(Counted(10))


def test_a_stream_that_rests_makes_room_for_another(pacer, monkeypatch):
    monkeypatch.setattr("convai.backends.runtime.pacing.RESTING_SECONDS", 0.05)
    for _ in range(2):
        pacer.start(Counted(10))
    time.sleep(0.06)
    pacer.start(Counted(10))
    assert len(pacer.streams) == 3


def test_a_stream_of_which_nothing_is_done_is_given_up():
    pacer = Pacer(max_streams=2, patience_seconds=0.2)
    stream = Counted(10)
    pacer.start(stream)
    wait_until(lambda: stream.gave_up)
    assert not pacer.streams
    pacer.close()


def test_a_ticket_that_nobody_waits_for_is_no_error(pacer):
    gone = Counted(10)
    pacer.start(gone)
    pacer.close()
    tell_done([(UNPACED, 0), (7 << 32, 0), gone.tickets[0], (-1, 0)])
