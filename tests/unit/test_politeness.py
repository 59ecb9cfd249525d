"""How polite long questions are is measured with one in flight all the time, beside short ones that come alone."""

import threading

import pytest

from convai.benchmarks.speed.politeness import (
    LONG_CONTEXT_BYTES,
    Politeness,
    always_in_flight,
    long_question,
    measure,
    seconds,
    short_questions,
)


class Server:
    """Answers short questions at once, and a long one when it is released."""

    def __init__(self):
        self.asked, self.released = threading.Event(), threading.Event()
        self.long_in_flight = 0
        self.beside = []  # for each short question, how many long ones were in flight

    def ask(self, audio, *, sample_rate, context):
        if len(context) < LONG_CONTEXT_BYTES // 2:
            self.beside.append(self.long_in_flight)
            return
        self.long_in_flight += 1
        self.asked.set()
        assert self.released.wait(30)
        self.long_in_flight -= 1


def test_the_long_question_is_as_long_as_allowed_and_the_short_ones_are_short():
    assert LONG_CONTEXT_BYTES - 4 <= len(long_question().context.encode()) <= LONG_CONTEXT_BYTES
    assert len(short_questions()) >= 12


def test_a_long_question_is_in_flight_from_the_beginning_until_the_end():
    server = Server()
    with always_in_flight(server, long_question()) as times:
        assert server.asked.wait(30)
        seconds(server, short_questions()[0])
        server.released.set()
    assert server.beside == [1]
    assert server.long_in_flight == 0
    assert len(times) >= 1


def test_without_a_long_question_short_ones_are_alone():
    server = Server()
    server.released.set()
    short = short_questions()[:4]
    politeness = measure(server, short, long_question(), rounds=2)
    assert len(server.beside) == 3 + 2 * 2 * len(short)
    assert server.beside[3:7] == [0] * 4
    assert politeness.short_alone > 0


def test_the_delay_is_in_multiples_of_a_short_question_s_own_time():
    assert Politeness(0.1, 0.25, 1.0, 1.1).delay == pytest.approx(1.5)


@pytest.mark.parametrize(("beside", "verdict"), [(0.3, "met"), (0.31, "missed")])
def test_the_verdict_is_that_short_questions_may_be_delayed_by_twice_their_time(beside, verdict):
    assert Politeness(0.1, beside - 1e-9, 1.0, 1.1).text().splitlines()[-1].startswith(f"{verdict}: ")
