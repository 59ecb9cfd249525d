"""Retries beyond gRPC's five attempts: with several servers, a request that all attempts found full is sent again.

A caller who sends one server far more than it can answer would otherwise cost the others requests: of one in 250, all
five attempts meet the full server.
"""

import random
import time
from dataclasses import dataclass, field

from convai.client.errors import Overloaded

FIRST_PAUSE_SECONDS = 0.25
PAUSE_GROWTH = 2.0
LONGEST_PAUSE_SECONDS = 2.0
# If all servers are full, retries become at most one in ten requests, after the first few.
BUDGET = 50.0
EARNED_PER_ANSWER = 0.1


@dataclass
class RetryBudget:
    """The retries that a client may send; its answers earn them, so that they do not add to an overload."""

    retries: float = BUDGET

    def earn(self) -> None:
        self.retries = min(self.retries + EARNED_PER_ANSWER, BUDGET)

    def spend(self) -> bool:
        """Take one retry; False if none is left."""
        if self.retries < 1:
            return False
        self.retries -= 1
        return True


@dataclass
class Attempts:
    """The attempts of one request within its timeout. Without a budget there is only one."""

    timeout_seconds: float
    budget: RetryBudget | None
    started: float = field(default_factory=time.monotonic)
    pause_seconds: float = FIRST_PAUSE_SECONDS

    @property
    def seconds_left(self) -> float:
        return self.started + self.timeout_seconds - time.monotonic()

    def succeed(self) -> None:
        if self.budget:
            self.budget.earn()

    def choose_pause(self, error: Overloaded) -> float:
        """Return the seconds before the next attempt, or raise the error if there is none."""
        pause = random.uniform(0.5, 1.0) * self.pause_seconds
        self.pause_seconds = min(self.pause_seconds * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
        if self.budget is None or pause >= self.seconds_left or not self.budget.spend():
            raise error
        return pause
