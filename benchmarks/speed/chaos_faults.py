"""The faults of `chaos`. Each returns its finding once all servers are whole again."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.speed.chaos_load import QUESTION, Finding, Log, wait_until
from benchmarks.speed.chaos_server import ChaosServer
from convai.client.async_client import AsyncConvaiClient
from convai.client.errors import Overloaded, TimedOut

AWAY_SECONDS = 20.0
AVOIDED_SECONDS = 5.0  # after which no request may wait for a server that does not answer
AVOIDED_DELAY_SECONDS = 3.0  # above the usual: the limit for requests that are sent from then on
KILLED_DELAY_SECONDS = 3.0
SHARE_SECONDS = 10.0  # within which a new server gets its share
LEAST_SHARE = 0.2  # of all requests; an exact third is not required
SETTLE_SECONDS = 5.0
OVERLOAD_SECONDS = 10.0
OVERLOAD_IN_FLIGHT = 160  # more than the queues of BERT and of the steps before it hold
CONTEXT = "He is often called the father of rain. "


@dataclass(frozen=True)
class Stage:
    """Three servers, and the ensemble that the load asks."""

    servers: Sequence[ChaosServer]
    ensemble: str


def restart_in_turn(stage: Stage, log: Log) -> Finding:
    stops = []
    for server in stage.servers:
        start = time.monotonic()
        server.stop()
        stops.append(f"{time.monotonic() - start:.1f} s")
        server.start()
    return Finding(f"stopping took {', '.join(stops)}")


def kill_one(stage: Stage, log: Log) -> Finding:
    stage.servers[0].kill()
    time.sleep(SETTLE_SECONDS)
    stage.servers[0].start()
    return Finding()


def freeze_one(stage: Stage, log: Log) -> Finding:
    """Stop a server's processes for AWAY_SECONDS: its connections stay open, but nothing answers."""
    server = stage.servers[1]
    start = time.monotonic()
    server.freeze()
    time.sleep(AWAY_SECONDS)
    later = log.sort_seconds(start + AVOIDED_SECONDS)
    server.resume()
    time.sleep(SETTLE_SECONDS)
    server.wait_until_answering(stage.ensemble)  # its watchdog restarts it
    if not later:
        return Finding(f"no request sent after {AVOIDED_SECONDS:g} s was answered before the fault ended", False)
    median, slowest = later[len(later) // 2], later[-1]
    text = f"{len(later)} requests sent after {AVOIDED_SECONDS:g} s: median {median:.1f} s, slowest {slowest:.1f} s"
    return Finding(text, slowest < log.usual_seconds + AVOIDED_DELAY_SECONDS)


def overload_one(stage: Stage, log: Log) -> Finding:
    answered, rejected = asyncio.run(_flood(stage.servers[1].address))
    return Finding(f"the second client got {answered} answers and {rejected} rejections", rejected > 0)


async def _flood(address: str) -> tuple[int, int]:
    """Send one server far more than it can answer; return the numbers of answers and rejections."""
    deadline = time.monotonic() + OVERLOAD_SECONDS
    answered = rejected = 0

    async def keep_asking(client: AsyncConvaiClient) -> None:
        nonlocal answered, rejected
        while time.monotonic() < deadline:
            try:
                await client.answer_text(QUESTION, CONTEXT)
                answered += 1
            except (Overloaded, TimedOut):
                rejected += 1
                await asyncio.sleep(0.2)

    async with AsyncConvaiClient(address) as client:
        await asyncio.gather(*(keep_asking(client) for _ in range(OVERLOAD_IN_FLIGHT)))
    return answered, rejected


def add_one(stage: Stage, log: Log) -> Finding:
    new = stage.servers[2]
    new.stop()
    time.sleep(SETTLE_SECONDS)
    new.start()
    start = time.monotonic()
    if not wait_until(lambda: new.count_answers(stage.ensemble) > 0, 30):
        return Finding("the new server got no request within 30 s", is_good=False)
    seconds = time.monotonic() - start
    before, all_before = new.count_answers(stage.ensemble), len(log.attempts)
    time.sleep(SETTLE_SECONDS)
    share = (new.count_answers(stage.ensemble) - before) / max(1, len(log.attempts) - all_before)
    text = f"first answer of the new server {seconds:.1f} s after it was ready, then {share:.0%} of all"
    return Finding(text, seconds + SETTLE_SECONDS <= SHARE_SECONDS and share > LEAST_SHARE)


@dataclass(frozen=True)
class Fault:
    """`limit_seconds` is for the slowest request, above the usual."""

    inject: Callable[[Stage, Log], Finding]
    limit_seconds: float = inf


FAULTS = {
    "rolling restart": Fault(restart_in_turn),
    "one killed": Fault(kill_one, KILLED_DELAY_SECONDS),
    "one frozen": Fault(freeze_one),
    "one overloaded": Fault(overload_one),
    "one joins": Fault(add_one),
}
