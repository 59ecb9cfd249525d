import threading
import time

import pytest

from benchmarks.speed.closed_loop import Load, run_load
from benchmarks.speed.paths import Reply
from convai.client.answer import Answer

QUESTIONS = ["short", "middle", "long"]


class Service:
    """Takes `seconds` for each question, any number at once; remembers what it was asked and by how many at once."""

    def __init__(self, seconds=0.01):
        self.seconds = seconds
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.asked = []

    def __call__(self, question):
        with self.lock:
            self.asked.append(question)
            self.now += 1
            self.most = max(self.most, self.now)
        start = time.perf_counter()
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return Reply(Answer(question=question), time.perf_counter() - start, {})


@pytest.mark.parametrize("in_flight", [1, 4])
def test_as_many_requests_as_told_are_in_flight_and_never_more(in_flight):
    service = Service()
    run_load(service, QUESTIONS, Load(in_flight, requests=12, seconds=10))
    assert service.most == in_flight


def test_the_questions_that_count_are_asked_in_turn_each_equally_often():
    outcome = run_load(Service(), QUESTIONS, Load(4, requests=12, seconds=10))
    indices = [index for index, _ in outcome.counted]
    assert indices == [(4 + number) % 3 for number in range(12)]
    assert all(reply.answer.question == QUESTIONS[index] for index, reply in outcome.counted)


def test_the_load_is_kept_up_until_the_last_counted_answer():
    outcome = run_load(Service(), QUESTIONS, Load(4, requests=12, seconds=10))
    assert len(outcome.all_replies) >= 12 + 4 + 2  # before and after


def test_throughput_times_latency_is_the_number_in_flight():
    outcome = run_load(Service(0.02), QUESTIONS, Load(4, requests=40, seconds=10))
    mean_seconds = sum(reply.latency_seconds for reply in outcome.all_replies) / len(outcome.all_replies)
    assert outcome.answers_per_second * mean_seconds == pytest.approx(4, rel=0.25)


def test_one_at_a_time_nothing_is_sent_that_does_not_count():
    service = Service()
    run_load(service, QUESTIONS, Load(1, requests=5, seconds=10))
    assert len(service.asked) == 5


def test_no_more_are_sent_when_the_time_is_over():
    start = time.monotonic()
    outcome = run_load(Service(0.02), QUESTIONS, Load(2, requests=10_000, seconds=0.2))
    assert time.monotonic() - start < 2
    assert 1 <= len(outcome.counted) < 100


def test_a_failure_ends_the_load_and_is_told():
    service = Service()

    def fail_on_the_third(question):
        if len(service.asked) == 2:
            raise OSError("the server is gone")
        return service(question)

    with pytest.raises(OSError, match="the server is gone"):
        run_load(fail_on_the_third, QUESTIONS, Load(3, requests=1000, seconds=10))


@pytest.mark.parametrize("wrong", [{"in_flight": 0}, {"requests": 0}, {"seconds": 0.0}])
def test_a_load_that_measures_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Load(**({"in_flight": 1, "requests": 1, "seconds": 1.0} | wrong))
