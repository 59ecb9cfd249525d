import argparse
import asyncio
import re
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace

import httpx2
import pytest
from support.fake_client import CHUNKS, FakeClient

from convai.client import Overloaded, ServerUnreachable
from convai.errors import InvalidArgument
from convai.talk import access, command, connections
from convai.talk.access import ConcurrencyLimit, WaitingRoom
from convai.talk.app import make_app
from convai.talk.command import make_web_server, warn_if_open
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
        assert (await speak(http, headers={"Authorization": "bEARER open sesame"})).status_code == 200
        for wrong in (None, "", "Bearer", "Bearer no", "open sesame", "Basic open sesame", b"Bearer \xe9"):
            refused = await speak(http, headers={} if wrong is None else {"Authorization": wrong})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await http.get("/metrics")).status_code == 401
        assert (await http.get("/")).status_code == (await http.get("/health")).status_code == 200
        described = (await http.get("/openapi.json")).json()
        assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


async def test_what_a_page_of_another_site_sends_is_refused():
    client, http = connect(public_url="https://Talk.example:443/")
    async with http:
        for origin in ("https://evil.example", "null", "https://127.0.0.1.evil.example", "http://talk.example"):
            refused = await speak(http, headers={"Origin": origin})
            assert (refused.status_code, client.asked) == (403, []), origin
        for origin in ("http://127.0.0.1", "https://talk.example"):
            assert (await speak(http, headers={"Origin": origin})).status_code == 200
        assert (await http.get("/", headers={"Host": "talk.example"})).status_code == 200
        # Any site can point its own name at this machine's address.
        assert (await http.get("/", headers={"Host": "evil.example"})).status_code == 400


@pytest.mark.parametrize("url", ["talk.example", "https://talk.example/page", "ftp://talk.example", "https://a:b@c"])
def test_a_public_url_is_a_scheme_and_a_host(url):
    with pytest.raises(InvalidArgument, match="public_url"):
        Settings(public_url=url)


async def never(sent=b""):
    """A body that does not end."""
    yield sent
    await asyncio.Event().wait()


async def test_half_a_body_takes_no_slot_and_is_refused_in_the_end(monkeypatch):
    monkeypatch.setattr(access, "GRACE_SECONDS", 0.3)
    _, http = connect(max_concurrent=1)
    async with http:
        halves = [asyncio.create_task(http.post("/v1/audio/speech", content=never(b"{"))) for _ in range(3)]
        await asyncio.sleep(0)
        assert (await speak(http)).status_code == 200
        for refused in await asyncio.gather(*halves):
            assert (refused.status_code, refused.headers["connection"]) == (408, "close")
            assert "8,000 bytes a second" in refused.json()["error"]["message"]


async def test_json_is_smaller_than_an_upload_also_without_a_stated_length():
    async def spaces():
        for _ in range(17):
            yield bytes(2**16)

    _, http = connect()
    async with http:
        refused = await http.post("/v1/audio/speech", content=spaces())
        assert refused.status_code == 413 and "1,048,576 bytes" in refused.json()["error"]["message"]
        form = {"Content-Type": "Multipart/Form-Data; boundary=b"}
        assert (await http.post("/v1/decode", content=spaces(), headers=form)).status_code == 400


async def test_who_comes_too_many_turns_out_the_oldest_of_the_address_with_the_most():
    room, left = WaitingRoom(3), []

    async def wait(name, address):
        try:
            async with room.wait(address, 60):
                await asyncio.Event().wait()
        except TimeoutError:
            left.append(name)

    tasks = []
    for name, address in (("honest", "a"), ("first", "b"), ("second", "b"), ("third", "b"), ("fourth", "c")):
        tasks.append(asyncio.create_task(wait(name, address)))
        await asyncio.sleep(0.01)
    assert left == ["first", "second"]
    for task in tasks:
        task.cancel()


@asynccontextmanager
async def serving(client):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        web = make_web_server(make_app(client, Settings()))
        task = asyncio.create_task(web.serve(sockets=[listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        yield reader, writer
        writer.close()
        web.should_exit = True
        await task


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: 127"])
async def test_a_connection_without_a_request_is_closed(sent, monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.1)
    async with serving(FakeClient()) as (reader, writer):
        writer.write(sent)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_who_does_not_read_its_response_loses_its_slot(monkeypatch):
    monkeypatch.setattr(connections, "READ_SECONDS", 0.1)
    client = FakeClient(streamed=[replace(chunk, is_last=False) for chunk in CHUNKS] * 2000)
    body = b'{"input": "Hi", "response_format": "pcm"}'
    header = (
        f"POST /v1/audio/speech HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nContent-Length: {len(body)}"
    )
    async with serving(client) as (_, writer):
        writer.write(header.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(60):
            while not client.closed_streams:
                await asyncio.sleep(0.01)


def test_tls_options_are_for_a_running_server():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = ["--tls-ca", __file__]
    with command.find_server(parser.parse_args([*options, "--server=127.0.0.1:1"])) as (address, server):
        assert (address, server) == ("127.0.0.1:1", None)
    with pytest.raises(InvalidArgument, match="--server"), command.find_server(parser.parse_args(options)):
        pass


@pytest.mark.parametrize("size", ["nan", "inf", "-1"])
def test_the_size_of_an_upload_is_a_number_above_0(size):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(InvalidArgument, match="--max-upload: expected a number of MiB above 0"):
        command.run(parser.parse_args([f"--max-upload={size}"]))


async def test_ready_is_printed_once_the_server_behind_is(monkeypatch, capsys):
    monkeypatch.setattr(command, "CHECK_SECONDS", 0.01)
    client = FakeClient(is_ready=False)
    announcing = asyncio.create_task(command.announce(client, SimpleNamespace(started=True)))
    printed = ""
    while "waiting for the server at 127.0.0.1:8001" not in printed:
        await asyncio.sleep(0.01)
        printed += capsys.readouterr().out
    assert "ready" not in printed
    client.is_ready = True
    await announcing
    assert capsys.readouterr().out == "ready; Ctrl-C stops\n"


async def test_health_asks_the_server_behind():
    client, http = connect()
    async with http:
        assert (await http.get("/health")).json() == {"status": "ready"}
        client.is_ready = False
        assert (await http.get("/health")).status_code == 503


async def test_every_interface_counts_its_requests_by_outcome():
    client, http = connect(max_concurrent=1)
    async with http:
        await http.get("/")
        await speak(http)
        await http.post("/v1/audio/speech", json={})
        client.error = ServerUnreachable("gone")
        await http.post("/v1/ask", files={"audio": b"no"}, data={"context": "A text."})
        await speak(http)
        client.error = RuntimeError("bug")
        with pytest.raises(RuntimeError):
            await speak(http)
        await http.get("/v1/evil")
        counted = re.findall(r"seconds_count\{(.*)\} 1", (await http.get("/metrics")).text)
    outcomes = {"page": ["ok"], "audio/speech": ["failed", "invalid", "ok", "refused"], "ask": ["invalid"]}
    expected = {f'interface="{name}",outcome="{outcome}"' for name, found in outcomes.items() for outcome in found}
    assert set(counted) == expected


@pytest.mark.parametrize(("host", "warnings"), [("127.0.0.1", 0), ("::1", 0), ("localhost", 0), ("0.0.0.0", 3)])
def test_an_address_that_other_machines_reach_is_warned_of(host, warnings, capsys):
    warn_if_open(argparse.Namespace(host=host, wyoming_port=10300), Settings())
    assert capsys.readouterr().err.count("warning: ") == warnings
