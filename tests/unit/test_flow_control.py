"""A stream sends its next response when the one before is acknowledged, independently of other streams."""

import time

import pytest

from convai.backends.runtime.flow_control import NO_TICKET, FlowControl, TooManyStreams, acknowledge


class RecordedStream:
    """A stream of `num_responses` that records its tickets."""

    def __init__(self, num_responses=10):
        self.left = num_responses
        self.tickets = []
        self.is_aborted = False

    def send_next(self, ticket, chunks):
        self.tickets.append((ticket, chunks))
        self.left -= 1
        return self.left > 0

    def abort(self, idle_seconds):
        self.is_aborted = True


@pytest.fixture
def flow_control():
    flow_control = FlowControl(max_streams=2)
    yield flow_control
    flow_control.close()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_stream_of_one_response_does_not_count_towards_the_limit(flow_control):
    streams = [RecordedStream(1) for _ in range(5)]
    for stream in streams:
        flow_control.start(stream)
    assert [stream.left for stream in streams] == [0] * 5


def test_each_stream_has_its_own_acknowledgements(flow_control):
    quick, slow = RecordedStream(), RecordedStream()
    flow_control.start(quick)
    flow_control.start(slow)
    acknowledge([quick.tickets[0]] * 4)
    wait_until(lambda: len(quick.tickets) == 5)
    assert len(slow.tickets) == 1


def test_one_stream_too_many_is_refused_unless_another_is_idle(flow_control, monkeypatch):
    for _ in range(2):
        flow_control.start(RecordedStream())
    with pytest.raises(TooManyStreams, match="2 streams"):
        flow_control.start(RecordedStream())
    monkeypatch.setattr("convai.backends.runtime.flow_control.IDLE_SECONDS", 0.0)
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
    acknowledge([(NO_TICKET, 0), (7 << 32, 0), stream.tickets[0], (-1, 0)])
