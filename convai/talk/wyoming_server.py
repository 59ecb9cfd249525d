"""Speech recognition, speech and answers for Home Assistant, over the Wyoming protocol."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from wyoming.error import Error

from convai.client import AsyncConvaiClient
from convai.errors import InvalidArgument
from convai.talk.access import ConcurrencyLimit
from convai.talk.context_file import ContextFile
from convai.talk.wyoming_events import EventStream
from convai.talk.wyoming_handler import Handler, Service

MAX_CONNECTIONS = 256
SERVICE_TYPE = "_wyoming._tcp.local."
EVERY_ADDRESS = ("0.0.0.0", "::")
MULTICAST_ADDRESS = ("224.0.0.251", 5353)


@asynccontextmanager
async def listen(
    listening: socket.socket, client: AsyncConvaiClient, limit: ConcurrencyLimit, context: ContextFile | None = None
) -> AsyncGenerator[None]:
    """Serve connections to an open socket inside the block; those that are left when it ends are aborted."""
    service = Service(client, limit, context)
    tasks: set[asyncio.Task[None]] = set()

    def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(tasks) >= MAX_CONNECTIONS:
            error = Error(f"{MAX_CONNECTIONS} connections are open, which is the limit; try again in a moment")
            writer.write(json.dumps(error.event().to_dict()).encode() + b"\n")
            return writer.close()
        task = asyncio.create_task(Handler(service, EventStream(reader, writer)).run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connect, sock=listening)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def announce_port(listening: socket.socket) -> AsyncGenerator[None]:
    """Announce Wyoming over zeroconf inside the block, so that Home Assistant finds it."""
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    address, port = listening.getsockname()[:2]
    if address in EVERY_ADDRESS:
        address = find_own_address()
    name = socket.gethostname()
    info = AsyncServiceInfo(
        SERVICE_TYPE, f"convai on {name}.{SERVICE_TYPE}", port, parsed_addresses=[address], server=f"{name}.local."
    )
    async with AsyncZeroconf([address]) as zeroconf:
        await zeroconf.async_register_service(info)
        yield


def find_own_address() -> str:
    """Return the address under which this machine is in its network; nothing is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(MULTICAST_ADDRESS)
        except OSError as error:
            raise InvalidArgument(f"--zeroconf: expected a network to announce it in, got none ({error})") from error
        return probe.getsockname()[0]
