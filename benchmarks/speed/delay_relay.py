"""A TCP relay that holds everything back for half a round trip in each direction: a distant server on one machine.

It needs no privileges, and delays nothing but what passes through it. Unlike a real path it has no limited bandwidth
and no slow start, so large messages come off better than they would over a real one.
"""

import asyncio
import multiprocessing
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from convai.pipeline.mistakes import CallerMistake

CHUNK_BYTES = 64 * 1024
MAX_CHUNKS = 1024  # under way in one direction of one connection
START_SECONDS = 30.0


class DelayRelay:
    """Relays to `address` (host:port) from an address of its own while the `with` block runs."""

    def __init__(self, address: str, round_trip_seconds: float):
        if not round_trip_seconds > 0:
            raise CallerMistake(f"round_trip_seconds is {round_trip_seconds}; it must be above 0")
        self.target = address
        self.one_way_seconds = round_trip_seconds / 2

    def __enter__(self) -> "DelayRelay":
        # A process of its own, so that it does not wait for whatever the measuring program computes.
        spawn = multiprocessing.get_context("spawn")
        self.connection, far_end = spawn.Pipe()
        self.process = spawn.Process(target=run, args=(far_end, self.target, self.one_way_seconds), daemon=True)
        self.process.start()
        far_end.close()
        if not self.connection.poll(START_SECONDS):
            raise TimeoutError(f"the relay to {self.target} did not start within {START_SECONDS:g} s")
        self.address = f"127.0.0.1:{self.connection.recv()}"
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.process.join()


def run(connection: Connection, target: str, one_way_seconds: float) -> None:
    asyncio.run(relay(connection, target, one_way_seconds))


async def relay(connection: Connection, target: str, one_way_seconds: float) -> None:
    """Tell the port through `connection`, and relay until its other end is closed, or its process has died."""
    host, _, port = target.rpartition(":")

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):  # the relay has ended
            await asyncio.gather(
                pass_on(reader, far_writer, one_way_seconds), pass_on(far_reader, writer, one_way_seconds)
            )

    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(connection.fileno(), gone.set)
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    connection.send(server.sockets[0].getsockname()[1])
    await gone.wait()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
    """Copy one direction of a connection, each chunk `delay_seconds` after it came."""
    under_way: asyncio.Queue[Any] = asyncio.Queue(MAX_CHUNKS)
    await asyncio.gather(receive(reader, under_way, delay_seconds), deliver(under_way, writer))


async def receive(reader: asyncio.StreamReader, under_way: asyncio.Queue[Any], delay_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    chunk = b"not yet ended"
    while chunk:
        try:
            chunk = await reader.read(CHUNK_BYTES)
        except OSError:
            chunk = b""
        await under_way.put((loop.time() + delay_seconds, chunk))


async def deliver(under_way: asyncio.Queue[Any], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        moment, chunk = await under_way.get()
        await asyncio.sleep(moment - loop.time())
        if not chunk:
            break
        with suppress(OSError):
            writer.write(chunk)
            await writer.drain()
    writer.close()
