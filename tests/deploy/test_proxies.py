"""The web process behind the proxies of docs/operating.md, as a browser reaches it over HTTPS."""

import asyncio
import json
import re
import shutil
import socket
import ssl

import httpx2
import pytest
import trustme
from support.fake_client import CHUNKS, FakeClient
from support.places import ROOT
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from convai.talk.app import make_app
from convai.talk.command import make_web_server
from convai.talk.settings import Settings

PAGE = (ROOT / "docs" / "operating.md").read_text()
SPEECH = {"input": "Hi", "response_format": "pcm"}


def configure(proxy, folder, port, upstream):
    """The command that runs the proxy with the snippet of the page, on `port` and with a certificate of the test."""
    (snippet,) = re.findall(rf"```{proxy}\n(.*?)```", PAGE, re.DOTALL)
    snippet = snippet.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    file = folder / "configuration"
    if proxy == "caddy":
        snippet = snippet.replace("talk.example {", f"talk.example:{port} {{\n tls {folder}/crt {folder}/key")
        file.write_text("{\n admin off\n auto_https disable_redirects\n}\n" + snippet)
        return ["caddy", "run", "--adapter", "caddyfile", "--config", file]
    snippet = snippet.replace("443", f"127.0.0.1:{port}").replace("/etc/ssl/talk.example.", f"{folder}/")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    logs = "error_log stderr; daemon off; master_process off;"
    file.write_text(f"{logs} pid {folder}/pid; events {{}} http {{ access_log off; {folders} {snippet} }}")
    return ["nginx", "-e", "stderr", "-c", file]


async def await_port(port, process):
    for _ in range(200):
        assert process.returncode is None, "the proxy has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            return writer.close()
        except OSError:
            await asyncio.sleep(0.05)
    raise AssertionError("the proxy does not listen")


@pytest.mark.parametrize("proxy", ["caddy", "nginx"])
async def test_behind_a_proxy_of_the_page_it_answers_its_own_site_and_streams(proxy, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/sbin", prepend=":")
    monkeypatch.setenv("HOME", str(tmp_path))
    find = socket.getaddrinfo
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *rest, **options: find("127.0.0.1", *rest, **options))
    if shutil.which(proxy) is None:
        pytest.skip(f"Debian's package {proxy} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    authority, url = trustme.CA(), f"https://talk.example:{port}"
    certificate = authority.issue_cert("talk.example")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "crt")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    fake = FakeClient()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        web = make_web_server(make_app(fake, Settings(public_url=url)))
        serving = asyncio.create_task(web.serve(sockets=[listening]))
        command = configure(proxy, tmp_path, port, listening.getsockname()[1])
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        try:
            await await_port(port, process)
            await call(fake, url, trust)
        finally:
            process.terminate()
            await process.wait()
            web.should_exit = True
            await serving


async def call(fake, url, trust):
    own, foreign = {"Origin": url}, {"Origin": "https://evil.example"}
    async with httpx2.AsyncClient(base_url=url, verify=trust) as http:
        assert (await http.get("/page.json")).status_code == 200
        assert (await http.post("/v1/audio/speech", json=SPEECH, headers=foreign)).status_code == 403
        fake.stream_gate = asyncio.Event()  # the first chunk comes before the rest is there
        async with http.stream("POST", "/v1/audio/speech", json=SPEECH, headers=own) as response:
            pieces = response.aiter_bytes()
            first = await anext(pieces)
            fake.stream_gate.set()
            rest = b"".join([piece async for piece in pieces])
        assert 0 < len(first) < len(rest) < 4 * sum(len(chunk.answer_audio) for chunk in CHUNKS)
    address = url.replace("https", "wss") + "/v1/listen"
    with pytest.raises(InvalidStatus):
        await connect(address, ssl=trust, additional_headers=foreign)
    async with connect(address, ssl=trust, additional_headers=own) as listening:
        await listening.send(json.dumps({"sample_rate": 16_000, "context": "A text."}))
        await listening.send('{"end": true}')
        assert json.loads(await listening.recv())["type"] == "nothing_asked"
