import threading
import time

import pytest

from benchmarks.speed.closed_loop import Load, run_load
from convai.errors import InvalidArgument

QUESTIONS = ["short", "middle", "long"]


class Service:
    """Answers each question with itself after 10 ms; records its questions and the highest number in flight."""

    def __init__(self):
        self.lock = threading.Lock()
        self.in_flight = self.most_in_flight = 0
        self.asked = []

    def __call__(self, question):
        with self.lock:
            self.asked.append(question)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        time.sleep(0.01)
        with self.lock:
            self.in_flight -= 1
        return question


@pytest.mark.parametrize("in_flight", [1, 4])
def test_the_number_in_flight_is_kept(in_flight):
    service = Service()
    run_load(service, QUESTIONS, Load(in_flight, requests=12, seconds=10))
    assert service.most_in_flight == in_flight


def test_measured_questions_are_asked_in_turn_and_paired_with_their_replies():
    outcome = run_load(Service(), QUESTIONS, Load(4, requests=12, seconds=10))
    assert [index for index, _ in outcome.measured] == [(4 + number) % 3 for number in range(12)]
    assert all(reply == QUESTIONS[index] for index, reply in outcome.measured)


def test_a_failure_ends_the_load_and_is_raised():
    service = Service()

    def fail_on_the_third(question):
        if len(service.asked) == 2:
            raise OSError("the server is gone")
        return service(question)

    with pytest.raises(OSError, match="the server is gone"):
        run_load(fail_on_the_third, QUESTIONS, Load(3, requests=1000, seconds=10))


@pytest.mark.parametrize("wrong", [{"in_flight": 0}, {"requests": 0}, {"seconds": 0.0}])
def test_a_load_that_measures_nothing_is_refused(wrong):
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        Load(**({"in_flight": 1, "requests": 1, "seconds": 1.0} | wrong))
