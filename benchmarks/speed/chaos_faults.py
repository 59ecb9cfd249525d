"""What can happen to a server among several. A fault returns when the servers are whole again, with what was seen."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.speed.chaos_load import Finding, Log, wait_until
from benchmarks.speed.chaos_network import Cable
from benchmarks.speed.chaos_questions import QUESTION
from benchmarks.speed.chaos_server import ChaosServer
from convai.client.async_client import AsyncConvaiClient
from convai.client.errors import Overloaded, TimedOut

AWAY_SECONDS = 20.0
AVOIDED_SECONDS = 5.0  # after which no request waits for a server that is away
AVOIDED_DELAY_SECONDS = 3.0  # over the usual: so long at most takes what is asked then
KILLED_DELAY_SECONDS = 3.0
SHARE_SECONDS = 10.0  # within which a new server takes its share
LEAST_SHARE = 0.2  # of all; a third would be exact
SETTLE_SECONDS = 5.0
OVERLOAD_SECONDS = 10.0
OVERLOAD_IN_FLIGHT = 160  # more than the queues of BERT and of the steps before it hold
CONTEXT = "He is often called the father of rain. "


@dataclass(frozen=True)
class Stage:
    """Where faults happen: three servers, the last at the far end of the cable if there is one."""

    servers: Sequence[ChaosServer]
    ensemble: str
    cable: Cable | None = None


def nothing(stage: Stage, log: Log) -> Finding:
    time.sleep(SETTLE_SECONDS)
    return Finding()


def rolling_restart(stage: Stage, log: Log) -> Finding:
    stops = []
    for server in stage.servers:
        start = time.monotonic()
        server.stop()
        stops.append(f"{time.monotonic() - start:.1f} s")
        server.start()
    return Finding(f"stopping took {', '.join(stops)}")


def killed(stage: Stage, log: Log) -> Finding:
    stage.servers[0].kill()
    time.sleep(SETTLE_SECONDS)
    stage.servers[0].start()
    return Finding()


def frozen(stage: Stage, log: Log) -> Finding:
    server = stage.servers[1]
    finding = away(log, server.freeze, server.thaw)
    server.await_return(stage.ensemble)  # its watchdog starts it anew
    return finding


def cut_off(stage: Stage, log: Log) -> Finding:
    assert stage.cable is not None, "the program was to leave this fault out, or to begin anew"
    return away(log, stage.cable.unplug, stage.cable.plug_in)


def away(log: Log, leave: Callable[[], None], come_back: Callable[[], None]) -> Finding:
    """A server that nobody can reach, though its connections are open, for AWAY_SECONDS."""
    start = time.monotonic()
    leave()
    time.sleep(AWAY_SECONDS)
    later = log.seconds(start + AVOIDED_SECONDS)
    come_back()
    if not later:
        return Finding(
            f"nothing that was asked {AVOIDED_SECONDS:g} s after it began was answered before it ended", False
        )
    time.sleep(SETTLE_SECONDS)
    median, slowest = later[len(later) // 2], later[-1]
    text = (
        f"of {len(later)} answered that were asked {AVOIDED_SECONDS:g} s and more after it began, the median took"
        f" {median:.1f} s and the slowest {slowest:.1f} s"
    )
    return Finding(text, slowest < log.usual_seconds + AVOIDED_DELAY_SECONDS)


def overloaded(stage: Stage, log: Log) -> Finding:
    answered, refused = asyncio.run(flood(stage.servers[1].address))
    return Finding(f"the other caller got {answered} answers and {refused} refusals", refused > 0)


async def flood(address: str) -> tuple[int, int]:
    """Answers and refusals of a caller who asks one server far more than it can answer."""
    deadline = time.monotonic() + OVERLOAD_SECONDS
    answered = refused = 0

    async def keep_asking(client: AsyncConvaiClient) -> None:
        nonlocal answered, refused
        while time.monotonic() < deadline:
            try:
                await client.answer_text(QUESTION, CONTEXT)
                answered += 1
            except (Overloaded, TimedOut):
                refused += 1
                await asyncio.sleep(0.2)

    async with AsyncConvaiClient(address) as client:
        await asyncio.gather(*(keep_asking(client) for _ in range(OVERLOAD_IN_FLIGHT)))
    return answered, refused


def joined(stage: Stage, log: Log) -> Finding:
    new = stage.servers[2]
    new.stop()
    time.sleep(SETTLE_SECONDS)
    new.start()
    start = time.monotonic()
    if not wait_until(lambda: new.answers(stage.ensemble) > 0, 30):
        return Finding("the new server got no request within 30 s", is_good=False)
    seconds = time.monotonic() - start
    before, all_before = new.answers(stage.ensemble), len(log.asked)
    time.sleep(SETTLE_SECONDS)
    share = (new.answers(stage.ensemble) - before) / max(1, len(log.asked) - all_before)
    text = f"first answer of the new server {seconds:.1f} s after it was ready, then {share:.0%} of all"
    return Finding(text, seconds + SETTLE_SECONDS <= SHARE_SECONDS and share > LEAST_SHARE)


@dataclass(frozen=True)
class Fault:
    happen: Callable[[Stage, Log], Finding]
    allowed_delay_seconds: float = inf  # of the slowest answer, over the usual


CUT_OFF = "one cut off"
FAULTS = {
    "rolling restart": Fault(rolling_restart),
    "one killed": Fault(killed, KILLED_DELAY_SECONDS),
    "one frozen": Fault(frozen),
    CUT_OFF: Fault(cut_off),
    "one overloaded": Fault(overloaded),
    "one joins": Fault(joined),
}
