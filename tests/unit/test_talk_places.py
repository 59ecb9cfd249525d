import asyncio

import httpx2
import pytest
from support.fake_client import FakeClient

from convai.talk.app import make_app
from convai.talk.gate import Places
from convai.talk.settings import Settings


def test_no_more_places_are_taken_than_there_are():
    places = Places(2)
    with places.take() as first, places.take() as second, places.take() as third:
        assert (first, second, third) == (True, True, False)
    assert places.taken == 0


def test_a_place_is_given_back_after_a_failure():
    places = Places(1)
    with pytest.raises(RuntimeError), places.take():
        raise RuntimeError
    assert places.taken == 0


async def test_who_comes_when_all_places_are_taken_is_told_to_try_again():
    app = make_app("127.0.0.1:1", Settings(max_concurrent=2))
    app.state.client = FakeClient()
    app.state.client.gate = asyncio.Event()
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        waiting = [asyncio.create_task(http.post("/v1/audio/speech", json={"input": "Hi"})) for _ in range(2)]
        while len(app.state.client.asked) < 2:
            await asyncio.sleep(0.01)
        refused = await http.post("/v1/audio/speech", json={"input": "Hi"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "2 requests are being served" in refused.json()["error"]["message"]
        app.state.client.gate.set()
        assert [response.status_code for response in await asyncio.gather(*waiting)] == [200, 200]
        assert (await http.post("/v1/audio/speech", json={"input": "Hi"})).status_code == 200
