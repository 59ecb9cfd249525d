"""Many servers and everybody who asks them, simulated: queues, refusals, and an autoscaler that sees them late.

A server is some slots with one queue before them, first come first served; a full queue refuses, and the caller tries
another server. Many callers that each go round robin choose as good as at random.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapreplace
from math import ceil, inf

import numpy as np

BLOCK = 65_536  # random numbers made at once


@dataclass(frozen=True)
class Server:
    """
    slots : questions answered at once
    places : questions that may wait; inf for any number
    """

    slots: int
    places: float = inf

    def __post_init__(self):
        if self.slots < 1 or self.places < 0:
            raise ValueError(f"server: got {self}; allowed are one slot or more, and no negative number of places")


class Queue:
    """What one server does, from question to question."""

    def __init__(self, server: Server, ready_at: float = 0.0):
        self.places = server.places
        self.free_at = [ready_at] * server.slots  # a heap of seconds
        self.starts: deque[float] = deque()  # seconds at which those that wait will be begun

    def offer(self, now: float, service_seconds: float) -> float | None:
        """Seconds that the question will wait; None if it is refused."""
        while self.starts and self.starts[0] <= now:
            self.starts.popleft()
        if len(self.starts) >= self.places:
            return None
        start = max(now, self.free_at[0])
        heapreplace(self.free_at, start + service_seconds)
        if start > now:
            self.starts.append(start)
        return start - now


@dataclass(frozen=True)
class Autoscaler:
    """The horizontal autoscaler of Kubernetes with the settings of deploy/kubernetes, and what it learns how late.

    target_waiting : questions that wait, per server, on average over `window_seconds`
    check_seconds : between two decisions; also the age of what Prometheus has scraped last
    start_seconds : from the decision until a new server answers
    growth, shrinkage : largest change as a share of the servers there are, in `growth_seconds` and `shrinkage_seconds`
    patience_seconds : for so long the largest wish counts before there are fewer
    """

    smallest: int
    largest: int
    target_waiting: float = 1.0
    window_seconds: float = 60.0
    check_seconds: float = 15.0
    start_seconds: float = 60.0
    growth: float = 1.0
    growth_seconds: float = 120.0
    shrinkage: float = 0.1
    shrinkage_seconds: float = 60.0
    patience_seconds: float = 300.0
    tolerance: float = 0.1

    def wish(self, waiting: float, servers: int) -> int:
        """How many servers there should be, when so many questions wait in all of them together."""
        if abs(waiting / (self.target_waiting * servers) - 1) <= self.tolerance:
            return servers
        return min(max(ceil(waiting / self.target_waiting), self.smallest), self.largest)


@dataclass
class Scaling:
    """An autoscaler at work: what was decided when."""

    autoscaler: Autoscaler
    decided: int  # servers, those included that are starting
    wishes: deque[tuple[float, int]] = field(default_factory=deque)
    last_growth: float = -inf
    last_shrinkage: float = -inf

    def decide(self, now: float, waiting: float) -> int:
        """The number of servers from now on."""
        rules = self.autoscaler
        wish = rules.wish(waiting, self.decided)
        self.wishes.append((now, wish))
        while self.wishes[0][0] < now - rules.patience_seconds:
            self.wishes.popleft()
        if wish > self.decided and now - self.last_growth >= rules.growth_seconds:
            self.decided = min(wish, ceil(self.decided * (1 + rules.growth)))
            self.last_growth = now
        wished = max(wish for _, wish in self.wishes)
        if wished < self.decided and now - self.last_shrinkage >= rules.shrinkage_seconds:
            self.decided = max(wished, self.decided - max(1, int(self.decided * rules.shrinkage)))
            self.last_shrinkage = now
        return self.decided


@dataclass(frozen=True)
class Phase:
    """So many questions per second, for so long."""

    seconds: float
    questions_per_second: float


@dataclass(frozen=True)
class Course:
    """What became of every question, in the order in which they were asked.

    asked_at : seconds, shape = (questions,)
    latency_seconds : wait and service; infinite for one that was refused everywhere, shape = (questions,)
    attempts : servers asked, shape = (questions,)
    servers : (seconds, number that answer) at each change
    """

    asked_at: np.ndarray
    latency_seconds: np.ndarray
    attempts: np.ndarray
    servers: list[tuple[float, int]]

    @property
    def refused_share(self) -> float:
        return float(np.mean(np.isinf(self.latency_seconds)))

    def percentile(self, percent: float, begin: float = 0.0, end: float = inf) -> float:
        """Seconds in which so many percent of the questions asked between two moments were answered."""
        chosen = self.latency_seconds[(self.asked_at >= begin) & (self.asked_at < end)]
        return float(np.percentile(chosen, percent, method="lower"))


ServiceTimes = Callable[[np.random.Generator, int], np.ndarray]


def simulate(
    phases: Iterable[Phase],
    service_times: ServiceTimes,
    server: Server,
    servers: int,
    *,
    autoscaler: Autoscaler | None = None,
    attempts: int = 3,
    seed: int = 0,
) -> Course:
    """Ask a fleet that begins with `servers` of a kind; the same seed gives the same course."""
    fleet = Fleet(server, servers, autoscaler)
    random = np.random.default_rng(seed)
    asked_at, latencies, tries = [], [], []
    for now, service, chances in questions(phases, service_times, attempts, random):
        fleet.advance(now)
        latency, tried = fleet.ask(now, service, chances)
        asked_at.append(now)
        latencies.append(latency)
        tries.append(tried)
    return Course(np.array(asked_at), np.array(latencies), np.array(tries), fleet.changes)


def questions(
    phases: Iterable[Phase], service_times: ServiceTimes, attempts: int, random: np.random.Generator
) -> Iterator[tuple[float, float, list[float]]]:
    """Of each question when it is asked, how long it takes, and the numbers in [0, 1) that choose its servers."""
    begin = 0.0
    for phase in phases:
        now, end = begin, begin + phase.seconds
        while now < end:
            moments = now + np.cumsum(random.exponential(1 / phase.questions_per_second, BLOCK))
            services = service_times(random, BLOCK)
            yield from zip(
                (moments[moments < end]).tolist(),
                services.tolist(),
                random.random((BLOCK, attempts)).tolist(),
                strict=False,
            )
            now = float(moments[-1])
        begin = end


class Fleet:
    """All servers, and what Prometheus would know of their queues."""

    def __init__(self, server: Server, servers: int, autoscaler: Autoscaler | None):
        self.server = server
        self.queues = [Queue(server) for _ in range(servers)]
        self.starting: deque[float] = deque()  # seconds at which a new server will answer
        self.changes = [(0.0, servers)]
        self.scaling = Scaling(autoscaler, servers) if autoscaler else None
        self.next_check = autoscaler.check_seconds if autoscaler else inf
        self.waited: dict[int, float] = {}  # seconds waited by the questions begun within each interval of checks

    def ask(self, now: float, service_seconds: float, chances: list[float]) -> tuple[float, int]:
        """Seconds until the answer, and how many servers were asked for it."""
        for tried, chance in enumerate(chances, 1):
            wait = self.queues[int(chance * len(self.queues))].offer(now, service_seconds)
            if wait is not None:
                if self.scaling:
                    interval = int((now + wait) / self.scaling.autoscaler.check_seconds)
                    self.waited[interval] = self.waited.get(interval, 0.0) + wait
                return wait + service_seconds, tried
        return inf, len(chances)

    def advance(self, now: float) -> None:
        """Start, stop and decide all that is due."""
        while min(self.next_check, self.starting[0] if self.starting else inf) <= now:
            if self.starting and self.starting[0] <= self.next_check:
                ready_at = self.starting.popleft()
                self.queues.append(Queue(self.server, ready_at))
                self.changes.append((ready_at, len(self.queues)))
            elif self.scaling:
                self._check(self.scaling)

    def _check(self, scaling: Scaling) -> None:
        rules, now = scaling.autoscaler, self.next_check
        intervals = round(rules.window_seconds / rules.check_seconds)
        seen = round(now / rules.check_seconds) - 1  # the scrape before this check
        waiting = sum(self.waited.get(seen - back, 0.0) for back in range(intervals)) / rules.window_seconds
        wanted = scaling.decide(now, waiting)
        missing = wanted - len(self.queues) - len(self.starting)
        self.starting.extend([now + rules.start_seconds] * missing)
        if missing < 0:  # those that leave finish what they hold
            del self.queues[wanted:]
            self.starting.clear()
            self.changes.append((now, len(self.queues)))
        self.next_check += rules.check_seconds
