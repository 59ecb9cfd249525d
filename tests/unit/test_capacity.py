"""The simulated fleet agrees with queueing theory where that has an answer; its autoscaler with Kubernetes."""

from math import factorial, inf

import numpy as np
import pytest
from support.places import ROOT

from convai.benchmarks.speed import capacity
from convai.benchmarks.speed.fleet import Autoscaler, Phase, Queue, Scaling, Server, simulate

SERVICE_SECONDS = 0.25


def constant(random, count):
    return np.full(count, SERVICE_SECONDS)


def exponential(random, count):
    return random.exponential(SERVICE_SECONDS, count)


def wait_of_erlang(slots, busy):
    """Mean seconds before one of `slots` is free, for Poisson arrivals and exponential service (M/M/c)."""
    offered = slots * busy
    last = offered**slots / factorial(slots) / (1 - busy)
    must_wait = last / (sum(offered**n / factorial(n) for n in range(slots)) + last)
    return must_wait * SERVICE_SECONDS / slots / (1 - busy)


def mean_wait(service_times, slots, busy, servers=4, questions=200_000):
    rate = servers * slots * busy / SERVICE_SECONDS
    course = simulate([Phase(questions / rate, rate)], service_times, Server(slots), servers, seed=1)
    assert course.refused_share == 0
    return course.latency_seconds.mean() - SERVICE_SECONDS


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("busy", [0.5, 0.8])
def test_the_mean_wait_is_that_of_erlang_within_six_percent(slots, busy):
    assert mean_wait(exponential, slots, busy) == pytest.approx(wait_of_erlang(slots, busy), rel=0.06)


def test_equal_questions_wait_as_pollaczek_and_khinchine_say_within_six_percent():
    busy = 0.8
    assert mean_wait(constant, 1, busy) == pytest.approx(busy * SERVICE_SECONDS / 2 / (1 - busy), rel=0.06)


def test_a_full_queue_refuses_and_the_next_server_is_asked():
    phases = [Phase(100, 10 * 0.7 / SERVICE_SECONDS)]
    alone = simulate(phases, exponential, Server(1, places=2), 10, attempts=1)
    again = simulate(phases, exponential, Server(1, places=2), 10, attempts=3)
    assert alone.refused_share > 0.05 and again.refused_share < alone.refused_share / 2
    assert again.attempts.max() == 3


def test_a_queue_takes_as_many_as_it_has_places_and_slots():
    queue = Queue(Server(2, places=1))
    assert [queue.offer(0.0, 1.0) for _ in range(4)] == [0.0, 0.0, 1.0, None]
    assert [queue.offer(1.0, 1.0) for _ in range(2)] == [0.0, 1.0]


def test_the_same_seed_gives_the_same_course():
    one, other = (simulate([Phase(50, 6)], exponential, Server(2), 1, seed=3) for _ in range(2))
    assert np.array_equal(one.latency_seconds, other.latency_seconds)


def test_the_autoscaler_doubles_at_most_every_two_minutes():
    scaling = Scaling(Autoscaler(3, 100), 3)
    assert [scaling.decide(seconds, waiting=1000) for seconds in (15, 120, 135, 240, 255)] == [6, 6, 12, 12, 24]


def test_it_takes_servers_away_only_after_five_quiet_minutes_and_slowly():
    scaling = Scaling(Autoscaler(3, 100), 20)
    scaling.decide(0, waiting=20)
    assert [scaling.decide(seconds, waiting=0) for seconds in range(15, 301, 15)] == [20] * 20
    assert [scaling.decide(seconds, waiting=0) for seconds in (315, 330, 375)] == [18, 18, 17]


def test_it_leaves_a_tenth_more_or_less_alone():
    autoscaler = Autoscaler(1, 100)
    assert [autoscaler.wish(waiting, 10) for waiting in (9.5, 10, 10.5, 12, 8)] == [10, 10, 10, 12, 8]


def test_more_servers_come_when_questions_wait_and_answer_after_they_have_started():
    busy = [Phase(300, 12 / SERVICE_SECONDS)]
    course = simulate(busy, constant, Server(2, places=16), 3, autoscaler=Autoscaler(3, 20, start_seconds=60))
    assert min(seconds for seconds, servers in course.servers if servers > 3) >= 75
    assert 6 <= course.servers[-1][1] <= 20
    assert course.percentile(99, begin=240) < 4 and course.percentile(100, end=60) == inf


def test_a_server_without_slots_is_refused():
    with pytest.raises(ValueError, match="one slot or more"):
        Server(0)


def page_rows(column):
    """The rows of the page's table that begins with this column."""
    _, table = (ROOT / "docs/capacity.md").read_text().split(f"| {column} |")
    rows = table.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_what_was_measured_is_what_the_page_on_speed_says():
    speed = (ROOT / "docs/speed.md").read_text()
    assert f"{capacity.MEASURED_ANSWERS} were answered" in speed and f"hold {capacity.GIGABYTES} GB" in speed
    assert "| 1 | {} / {} / {} |".format(*capacity.LATENCIES.values()) in speed


def test_questions_take_on_average_what_the_cores_were_measured_at():
    times = capacity.service_times(np.random.default_rng(0), 100_000)
    assert times.min() > 0
    assert times.mean() == pytest.approx(capacity.CORES / capacity.ANSWERS_PER_SECOND, rel=0.01)


def test_the_page_says_of_people_what_is_computed():
    assert page_rows("people") == [capacity.people_row(people) for people in capacity.PEOPLE]


def test_the_page_says_of_a_load_what_is_simulated_within_a_tenth():
    told = {row[0]: float(row[3]) for row in page_rows("busy")}
    for busy in (0.7, 0.9):
        p99 = capacity.steady(100, busy, seconds=200).percentile(99, begin=60)
        assert p99 == pytest.approx(told[f"{100 * busy:.0f} %"], rel=0.1)


def test_the_page_says_of_a_rush_what_is_simulated():
    assert page_rows("times the questions")[0] == capacity.rush_row(capacity.RUSHES[0], capacity.FROM_SERVERS)
