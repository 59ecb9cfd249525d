"""What can happen to a server among several. A fault returns when the servers are whole again, with a remark."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence

from convai.benchmarks.speed.chaos_load import QUESTION, Log, wait_until
from convai.benchmarks.speed.chaos_server import ChaosServer
from convai.client.async_client import AsyncConvaiClient
from convai.client.errors import Overloaded, TimedOut

ENSEMBLE = "question_answering"
FROZEN_SECONDS = 20.0
AVOIDED_SECONDS = 5.0  # after which no request waits for a frozen server
SETTLE_SECONDS = 5.0
OVERLOAD_SECONDS = 10.0
OVERLOAD_IN_FLIGHT = 160  # more than the queues of BERT and of the steps before it hold
CONTEXT = "He is often called the father of rain. "


def nothing(servers: Sequence[ChaosServer], log: Log) -> str:
    time.sleep(SETTLE_SECONDS)
    return ""


def rolling_restart(servers: Sequence[ChaosServer], log: Log) -> str:
    stops = []
    for server in servers:
        start = time.monotonic()
        server.stop()
        stops.append(f"{time.monotonic() - start:.1f} s")
        server.start()
    return f"stopping took {', '.join(stops)}"


def killed(servers: Sequence[ChaosServer], log: Log) -> str:
    servers[0].kill()
    time.sleep(SETTLE_SECONDS)
    servers[0].start()
    return ""


def frozen(servers: Sequence[ChaosServer], log: Log) -> str:
    start = time.monotonic()
    servers[1].signal_all(signal.SIGSTOP)
    time.sleep(FROZEN_SECONDS)
    servers[1].signal_all(signal.SIGCONT)
    later = log.seconds(start + AVOIDED_SECONDS)
    if not later:
        return f"nothing that was asked {AVOIDED_SECONDS:g} s after it began was answered before it ended"
    time.sleep(SETTLE_SECONDS)
    median, slowest = later[len(later) // 2], later[-1]
    return (
        f"of {len(later)} answered that were asked {AVOIDED_SECONDS:g} s and more after it began, the median took"
        f" {median:.1f} s and the slowest {slowest:.1f} s"
    )


def overloaded(servers: Sequence[ChaosServer], log: Log) -> str:
    answered, refused = asyncio.run(flood(servers[2].address))
    return f"the other caller got {answered} answers and {refused} refusals"


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


def joined(servers: Sequence[ChaosServer], log: Log) -> str:
    new = servers[2]
    new.stop()
    time.sleep(SETTLE_SECONDS)
    new.start()
    start = time.monotonic()
    if not wait_until(lambda: new.answers(ENSEMBLE) > 0, 30):
        return "the new server got no request within 30 s"
    seconds = time.monotonic() - start
    before, all_before = new.answers(ENSEMBLE), len(log.asked)
    time.sleep(SETTLE_SECONDS)
    share = (new.answers(ENSEMBLE) - before) / max(1, len(log.asked) - all_before)
    return f"first answer of the new server {seconds:.1f} s after it was ready, then {share:.0%} of all"


FAULTS: dict[str, Callable[[Sequence[ChaosServer], Log], str]] = {
    "rolling restart": rolling_restart,
    "one killed": killed,
    "one frozen": frozen,
    "one overloaded": overloaded,
    "one joins": joined,
}
