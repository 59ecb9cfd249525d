"""What responses share that take long to make: callers who leave, and server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request, Response

from convai.client.listen import cancel_tasks

Item = TypeVar("Item")
Result = TypeVar("Result")
CLIENT_CLOSED_REQUEST = 499  # nobody reads this response; proxies use the number for the same case


async def run_while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result | Response:
    """Return what `work` returns; or cancel it and return a response when the caller closes the connection."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(await_disconnect(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response(status_code=CLIENT_CLOSED_REQUEST)
    finally:
        await cancel_tasks(leaving, working)


async def await_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def prepend(first: Item, rest: AsyncGenerator[Item]) -> AsyncGenerator[Item]:
    """Yield `first`, then the rest, which is closed with this generator."""
    async with aclosing(rest):
        yield first
        async for item in rest:
            yield item


def encode_event(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"
