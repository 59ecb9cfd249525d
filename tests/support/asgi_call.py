"""Calls the web process as an ASGI server does, which sees messages come one by one and lets the caller go."""

import asyncio
import json

from convai.talk.app import make_app
from convai.talk.settings import Settings


class Call:
    """A call in progress: what was asked, and the messages sent so far."""

    def __init__(self, fake, path="/v1/audio/speech", content=None, media_type="application/json", **body):
        self.received, self.sent = asyncio.Queue(), asyncio.Queue()
        content = content or json.dumps({"input": "Hello", **body}).encode()
        self.received.put_nowait({"type": "http.request", "body": content, "more_body": False})
        headers = [(b"host", b"127.0.0.1"), (b"content-type", media_type.encode())]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        self.app = make_app(fake, Settings())
        self.serving = asyncio.create_task(
            self.app(scope | {"asgi": {"version": "3.0"}}, self.received.get, self.sent.put)
        )

    async def read(self):
        return await asyncio.wait_for(self.sent.get(), 10)

    async def read_rest(self):
        """The rest of the body, and whether it is complete."""
        await asyncio.wait_for(self.serving, 10)
        messages = [self.sent.get_nowait() for _ in range(self.sent.qsize())]
        return b"".join(message.get("body", b"") for message in messages), not messages[-1]["more_body"]

    async def leave(self):
        self.received.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(self.serving, 10)
