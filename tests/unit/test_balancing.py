import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import numpy as np
import pytest
from support.fake_dns import serving_dns
from support.fake_triton import FakeTriton, serving

from convai.client import AsyncConvaiClient, ConvaiClient, Overloaded, ServerError, TimedOut, Tls, balancing, retries
from convai.client.retries import Attempts, RetryBudget
from convai.errors import InvalidArgument

TRANSCRIPT = {"question": np.array([[b"what is he often called"]], np.object_)}
SECOND = np.zeros(16_000, np.float32)
HALF_A_MINUTE = np.zeros(30 * 16_000, np.float32)
NOBODY = "127.0.0.9:1"
FULL = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
STOPPING = (grpc.StatusCode.UNAVAILABLE, "Server is stopping, scheduler for model has stopped accepting")
UNLOADED = (grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'speech_to_text' has no available versions")
FAILED = (grpc.StatusCode.INTERNAL, "in ensemble 'speech_to_text', jasper: internal error (ValueError)")


@pytest.fixture
def fakes():
    return [FakeTriton(TRANSCRIPT) for _ in range(3)]


@pytest.fixture
def addresses(fakes):
    with ExitStack() as stack:
        yield [stack.enter_context(serving(fake)) for fake in fakes]


def transcribe(client, times=1, audio=SECOND):
    return [client.transcribe(audio, sample_rate=16_000) for _ in range(times)]


def counts(fakes):
    return [len(fake.requests) for fake in fakes]


def transcribe_until_all_answered(client, fakes, seconds=15):
    """gRPC connects to all servers at its first request, which waits for one of them only."""
    deadline = time.monotonic() + seconds
    while not all(counts(fakes)) and time.monotonic() < deadline:
        transcribe(client)
        time.sleep(0.02)


def connect_to_all(client, fakes):
    transcribe_until_all_answered(client, fakes)
    for fake in fakes:
        fake.requests.clear()


def test_requests_go_round_robin(fakes, addresses):
    with ConvaiClient(addresses) as client:
        connect_to_all(client, fakes)
        transcribe(client, 12)
    assert counts(fakes) == [4, 4, 4]


async def test_an_async_client_balances_and_retries_too(fakes, addresses):
    fakes[0].error = UNLOADED
    async with AsyncConvaiClient(",".join(addresses)) as client:
        for _ in range(30):
            assert await client.transcribe(SECOND, sample_rate=16_000)
    assert all(counts(fakes))


@pytest.mark.parametrize(
    ("error", "audio"), [(FULL, SECOND), (STOPPING, SECOND), (UNLOADED, SECOND), (FULL, HALF_A_MINUTE)]
)
def test_a_request_that_one_server_refuses_is_answered_by_another(fakes, addresses, error, audio):
    with ConvaiClient(addresses) as client:
        connect_to_all(client, fakes)
        fakes[0].error = error
        assert set(transcribe(client, 9, audio)) == {"what is he often called"}
    assert fakes[0].requests


def test_a_missing_server_is_left_out(fakes, addresses):
    with ConvaiClient([addresses[0], NOBODY]) as client:
        transcribe(client, 6)
    assert counts(fakes) == [6, 0, 0]


@pytest.mark.parametrize(
    ("status", "options", "error", "attempts"),
    [
        (FULL, {}, Overloaded, 5),
        (FULL, {"retry": False}, Overloaded, 1),
        (FAILED, {}, ServerError, 1),
    ],
    ids=["all are full", "all are full, without retries", "an answer that is an error"],
)
def test_the_number_of_attempts_is_limited(fakes, addresses, status, options, error, attempts, monkeypatch):
    monkeypatch.setattr(RetryBudget, "spend", lambda self: False)
    monkeypatch.setattr(balancing, "FIRST_PAUSE_SECONDS", 0.01)  # at 0.001, gRPC lost requests
    for fake in fakes:
        fake.error = status
    with ConvaiClient(addresses, **options) as client, pytest.raises(error):
        transcribe(client)
    assert sum(counts(fakes)) == attempts


@pytest.fixture
def recovering(fakes, monkeypatch):
    """Servers that are full until gRPC's attempts, here two, are used up twice."""
    monkeypatch.setattr(balancing, "ATTEMPTS", 2)

    def recover(pause_seconds):
        if sum(counts(fakes)) >= 4:
            fakes[0].error = fakes[1].error = fakes[2].error = None
        return pause_seconds

    for fake in fakes:
        fake.error = FULL
    monkeypatch.setattr(retries.random, "uniform", lambda low, high: recover(low))
    return fakes


def test_a_request_that_all_attempts_found_full_is_sent_again(recovering, addresses):
    with ConvaiClient(addresses) as client:
        assert transcribe(client) == ["what is he often called"]
    assert sum(counts(recovering)) == 5


async def test_an_async_request_that_all_attempts_found_full_is_sent_again(recovering, addresses):
    async with AsyncConvaiClient(addresses) as client:
        assert await client.transcribe(SECOND, sample_rate=16_000) == "what is he often called"
    assert sum(counts(recovering)) == 5


def test_retries_end_with_the_timeout_and_are_paid_for_by_answers():
    full, budget = Overloaded("full"), RetryBudget(retries=1)
    with pytest.raises(Overloaded):
        Attempts(retries.FIRST_PAUSE_SECONDS / 4, budget).choose_pause(full)
    Attempts(60, budget).choose_pause(full)
    with pytest.raises(Overloaded):
        Attempts(60, budget).choose_pause(full)
    for _ in range(11):
        Attempts(60, budget).succeed()
    Attempts(60, budget).choose_pause(full)


def test_the_timeout_covers_all_attempts_together(fakes, addresses):
    for fake in fakes:
        fake.error, fake.delay_seconds = FULL, 0.3
    with ConvaiClient(addresses, timeout_seconds=0.5) as client, pytest.raises(TimedOut, match="0.5 s"):
        transcribe(client)
    assert sum(counts(fakes)) < 5


def test_when_all_refuse_for_long_retries_end(fakes, addresses, monkeypatch):
    monkeypatch.setattr(balancing, "RETRY_TOKENS", 100)
    monkeypatch.setattr(retries.random, "uniform", lambda low, high: 0)
    for fake in fakes:
        fake.error = FULL
    with ConvaiClient(addresses) as client:
        with ThreadPoolExecutor(20) as pool:
            calls = [pool.submit(transcribe, client) for _ in range(60)]
        assert all(isinstance(call.exception(), Overloaded) for call in calls)
        before = sum(counts(fakes))
        with pytest.raises(Overloaded):
            transcribe(client)
    assert sum(counts(fakes)) - before == 1


def test_a_server_that_comes_back_gets_its_share(fakes, addresses):
    late = FakeTriton(TRANSCRIPT)
    with serving(late) as address:
        pass
    with ConvaiClient([addresses[0], address]) as client:
        transcribe(client)
        with serving(late, address=address):
            transcribe_until_all_answered(client, [late])
    assert late.requests


def test_servers_behind_a_dns_name_are_found_and_looked_up_again(monkeypatch):
    monkeypatch.setattr(balancing, "LOOKUP_SECONDS", 0.1)
    first, second, hosts = FakeTriton(TRANSCRIPT), FakeTriton(TRANSCRIPT), ["127.0.0.1"]
    with ExitStack() as stack:
        address = stack.enter_context(serving(first))
        stack.enter_context(serving(second, address=address.replace("127.0.0.1", "127.0.0.2")))
        dns = stack.enter_context(serving_dns(hosts))
        client = stack.enter_context(ConvaiClient(f"dns://{dns}/convai.test:{address.rpartition(':')[2]}"))
        transcribe(client, 2)
        assert counts([first, second]) == [2, 0]
        hosts.append("127.0.0.2")
        transcribe_until_all_answered(client, [second])
    assert second.requests


def test_several_addresses_need_the_host_name_in_their_certificates():
    with pytest.raises(InvalidArgument, match="several addresses need server_name"):
        ConvaiClient(["127.0.0.1:1", "127.0.0.2:1"], tls=Tls())


@pytest.mark.parametrize(
    "address",
    [["localhost:8001", "10.0.0.1:8001"], "a:1,b:1", ["10.0.0.1"], ["10.0.0.256:1"], ["10.0.0.1:0"], "dns:///x", []],
)
def test_an_address_that_cannot_be_balanced_is_rejected(address):
    with pytest.raises(InvalidArgument, match="address: expected"):
        ConvaiClient(address)
