import argparse
import asyncio

import httpx2
import pytest
from support.fake_client import FakeClient

from convai.client import Overloaded
from convai.talk.access import ConcurrencyLimit
from convai.talk.app import make_app
from convai.talk.command import warn_if_open
from convai.talk.settings import Settings


def speak(http, **options):
    return http.post("/v1/audio/speech", json={"input": "Hi"}, **options)


def connect(**settings):
    client = FakeClient()
    transport = httpx2.ASGITransport(make_app(client, Settings(**settings)))
    return client, httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def test_the_limit_refuses_what_goes_beyond_it_and_forgets_what_has_ended():
    limit = ConcurrencyLimit(2)
    with limit.hold(), limit.hold(), pytest.raises(Overloaded, match="2 requests are being served"), limit.hold():
        pass
    with pytest.raises(RuntimeError), limit.hold():
        raise RuntimeError
    assert limit.active == 0


async def test_a_request_beyond_the_limit_is_refused_with_a_time_to_try_again():
    client, http = connect(max_concurrent=2)
    client.gate = asyncio.Event()
    async with http:
        waiting = [asyncio.create_task(speak(http)) for _ in range(2)]
        while len(client.asked) < 2:
            await asyncio.sleep(0.01)
        refused = await speak(http)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "2 requests are being served" in refused.json()["error"]["message"]
        client.gate.set()
        assert [response.status_code for response in await asyncio.gather(*waiting)] == [200, 200]
        assert (await speak(http)).status_code == 200


async def test_with_a_key_v1_answers_only_requests_that_send_it():
    _, http = connect(api_key="open sesame")
    async with http:
        assert (await speak(http, headers={"Authorization": "Bearer open sesame"})).status_code == 200
        for wrong in (None, "", "Bearer", "Bearer no", "Basic b3Blbg==", b"Bearer \xe9"):
            refused = await speak(http, headers={} if wrong is None else {"Authorization": wrong})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await http.get("/")).status_code == 200


@pytest.mark.parametrize(("host", "warnings"), [("127.0.0.1", 0), ("localhost", 0), ("0.0.0.0", 3)])
def test_an_address_that_other_machines_reach_is_warned_of(host, warnings, capsys):
    warn_if_open(argparse.Namespace(host=host, wyoming_port=10300), Settings())
    assert capsys.readouterr().err.count("warning: ") == warnings
