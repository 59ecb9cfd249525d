"""Reads and writes the events of one Wyoming connection, bounded in bytes and in time."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from wyoming.event import Event, async_write_event

from convai.client import InvalidInput

MAX_EVENT_BYTES = 1024 * 1024
SILENT_SECONDS = 30.0  # without an event
UNREAD_SECONDS = 30.0  # without reading one
STALLED_SECONDS = 1.5  # without a byte of an event that has begun
LINGER_SECONDS = 2.0
Result = TypeVar("Result")


class EventStream:
    """The events of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader = reader
        self.writer = writer

    async def read(self) -> Event | None:
        """Return the next event; None if the client has ended the connection.

        Raises
        ------
        InvalidInput : what comes is not an event, or nothing comes for too long
        """
        start = await within(SILENT_SECONDS, self.reader.read(1), "connection: expected an event within {} s, got none")
        if not start:
            return None
        return await within(
            SILENT_SECONDS, self._read_rest(start), "event: expected the whole of it within {} s, got a part"
        )

    async def _read_rest(self, start: bytes) -> Event:
        header = parse_object(start + await self._next(self._read_line()))
        kind, data = header.get("type"), header.get("data") or {}
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise InvalidInput("event: expected a line of JSON with a text as type and an object as data")
        if more := await self._read_part(header.get("data_length")):
            data |= parse_object(more)
        return Event(kind, data, await self._read_part(header.get("payload_length")))

    async def _read_line(self) -> bytes:
        try:
            return await self.reader.readline()
        except ValueError as error:  # asyncio's limit
            raise InvalidInput("event: expected a line of JSON of at most 64 KiB, got more") from error

    async def _read_part(self, size: Any) -> bytes:
        if size is None:
            return b""
        if type(size) is not int or not 0 <= size <= MAX_EVENT_BYTES:
            raise InvalidInput(f"event: expected lengths of 0 to {MAX_EVENT_BYTES} bytes, got {size!r:.50}")
        part = bytearray()
        while len(part) < size:
            part += await self._next(self.reader.read(size - len(part)))
        return bytes(part)

    async def _next(self, reading: Coroutine[Any, Any, bytes]) -> bytes:
        """Return the bytes that come next, at least one."""
        piece = await within(STALLED_SECONDS, reading, "event: expected its rest within {} s, got nothing")
        if not piece:
            raise InvalidInput("event: expected its rest, got the end of the connection")
        return piece

    async def write(self, event: Event) -> None:
        """Send an event; raise ConnectionError if the client has gone, or reads nothing."""
        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await async_write_event(event, self.writer)
        except TimeoutError as error:
            self.abort()
            raise ConnectionAbortedError("the client reads nothing") from error

    async def close(self) -> None:
        """End the connection once the client has read what was sent."""
        with suppress(OSError):
            async with asyncio.timeout(LINGER_SECONDS):
                self.writer.write_eof()
                while await self.reader.read(MAX_EVENT_BYTES):  # closing with unread bytes would discard what was sent
                    pass
        self.writer.close()
        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await self.writer.wait_closed()
        except OSError:
            self.abort()

    def abort(self) -> None:
        self.writer.transport.abort()


async def within(seconds: float, work: Coroutine[Any, Any, Result], failure: str) -> Result:
    """Await `work`; after `seconds` raise InvalidInput with the message `failure`."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise InvalidInput(failure.format(f"{seconds:g}")) from error


def parse_object(data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"event: expected JSON, got {data[:50]!r}") from error
    if not isinstance(parsed, dict):
        raise InvalidInput(f"event: expected a JSON object, got {data[:50]!r}")
    return parsed
