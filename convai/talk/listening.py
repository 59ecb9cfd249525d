"""WebSocket /v1/listen: a microphone's samples in, the events of `client.listen` out; one connection per listening.

The page sends {"sample_rate": 48000, "context": "...", "pause_seconds": 0.7, "key": null}, then binary messages of
16-bit little-endian mono samples, then {"end": true}. It gets one JSON message per event, named by its "type". Binary
messages follow those with a recording: `speech_ended` the question's samples, `answered` those of the answer's first
chunk and `chunk` of a later one, each with its log-mel spectrogram as bytes, frame after frame. `is_last` tells that
the answer ends with this chunk. Who closes the connection, or speaks, while one is on its way, gets no more of it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.types import Message

from convai.arrays import Array
from convai.client import (
    AnswerChunk,
    Answered,
    Answering,
    AsyncConvaiClient,
    Caption,
    ConvaiError,
    Event,
    Failed,
    InvalidInput,
    NothingAsked,
    ServerUnreachable,
    SpeechEnded,
    SpeechStarted,
    StepsTimed,
)
from convai.client.listen import cancel_tasks
from convai.talk.gate import NO_KEY, WRONG_KEY, is_key
from convai.talk.mel_picture import mel_picture
from convai.talk.sounds import samples_of
from convai.talk.speech import has_model

router = APIRouter()
FIRST_MESSAGE_SECONDS = 10
FOUND = ("question", "answer", "answer_score", "answer_span")


class Start(BaseModel):
    """The first message."""

    model_config = ConfigDict(extra="forbid")
    sample_rate: int
    context: str
    pause_seconds: float | None = None
    key: str | None = None


class Refused(ValueError):
    """Why this page is not listened to."""


@router.websocket("/v1/listen")
async def listen(socket: WebSocket) -> None:
    if not comes_from_here(socket):
        return await socket.close(reason="pages of other sites may not listen here")
    await socket.accept()
    try:
        with socket.app.state.places.take() as is_free:
            if not is_free:
                raise Refused(socket.app.state.places.refusal)
            await tell_events(socket, await first_message(socket), socket.app.state.client)
        await socket.close()
    except (Refused, ConvaiError) as error:
        await socket.send_json(told_failure(error))
        await socket.close()
    except WebSocketDisconnect:
        pass  # the page was closed, or had enough


def comes_from_here(socket: WebSocket) -> bool:
    """Browsers let any site open a WebSocket to any address, but tell which site it was."""
    origin = socket.headers.get("origin")
    return origin is None or origin.split("://")[-1] == socket.headers.get("host")


async def first_message(socket: WebSocket) -> Start:
    try:
        # Or connections that say nothing would fill all places.
        message = await asyncio.wait_for(received(socket), FIRST_MESSAGE_SECONDS)
    except TimeoutError as error:
        raise Refused(f"no first message within {FIRST_MESSAGE_SECONDS} s") from error
    try:
        start = Start.model_validate_json(message.get("text") or "")
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"the first message: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if not is_key(start.key or "", socket.app.state.settings):
        raise Refused(WRONG_KEY if start.key else NO_KEY)
    return start


async def tell_events(socket: WebSocket, start: Start, client: AsyncConvaiClient) -> None:
    """Until all is told, or the page leaves: then what is not yet made of an answer is cancelled."""
    await check_server(client)
    has_ended = asyncio.Event()
    events = client.listen(
        chunks_from(socket, has_ended),
        sample_rate=start.sample_rate,
        context=start.context,
        pause_seconds=start.pause_seconds,
        time_steps=True,
        stream=await has_model(client, "convai_ensemble_stream"),
    )
    telling = asyncio.create_task(tell(socket, events))
    leaving = asyncio.create_task(left(socket, has_ended))
    try:
        finished, _ = await asyncio.wait([telling, leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()  # raises what it has raised
    finally:
        await cancel_tasks(telling, leaving)


async def tell(socket: WebSocket, events: AsyncGenerator[Event]) -> None:
    async with aclosing(events):
        async for event in events:
            described, binaries = told(event)
            await socket.send_json(described)
            for binary in binaries:
                await socket.send_bytes(binary)


async def check_server(client: AsyncConvaiClient) -> None:
    """Say now that there is no server, rather than after somebody has spoken."""
    with client.connection.translate_errors():
        if not await client.triton.is_server_ready(client_timeout=client.connection.timeout_seconds):
            raise ServerUnreachable(f"the server at {client.connection.address} is not ready; try again in a moment")


async def left(socket: WebSocket, has_ended: asyncio.Event) -> None:
    """Raise WebSocketDisconnect when the page has left after its last samples."""
    await has_ended.wait()
    while True:
        await received(socket)


async def chunks_from(socket: WebSocket, has_ended: asyncio.Event) -> AsyncIterator[Array]:
    """The page's samples: int16, shape = (samples,)."""
    while (samples := (await received(socket)).get("bytes")) is not None:
        if len(samples) % 2:
            raise InvalidInput(f"a message of {len(samples)} bytes; samples are 16 bit, so the number must be even")
        yield np.frombuffer(samples, "<i2").astype(np.int16)
    has_ended.set()


async def received(socket: WebSocket) -> Message:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return message


def told(event: Event) -> tuple[dict[str, Any], list[bytes]]:
    """An event as the page gets it: JSON, and the binary messages after it."""
    match event:
        case SpeechStarted(start_seconds):
            return {"type": "speech_started", "start_seconds": start_seconds}, []
        case Caption(text, until):
            return {"type": "caption", "text": text, "heard_until_seconds": until}, []
        case SpeechEnded(audio, start, end):
            described = {"type": "speech_ended", "start_seconds": start, "end_seconds": end}
            return described | {"sample_rate": event.sample_rate}, [samples_of(audio)]
        case NothingAsked(reason):
            return {"type": "nothing_asked", "reason": reason}, []
        case Answered(answer):
            assert answer.answer_audio is not None  # a turn asks for everything
            found = {name: getattr(answer, name) for name in FOUND}
            return told_chunk(AnswerChunk(0, True, answer.answer_audio, **found))
        case Answering(chunk):
            return told_chunk(chunk)
        case StepsTimed(steps):
            return {"type": "steps_timed", "steps": [asdict(step) for step in steps]}, []
        case Failed(error):
            return told_failure(error), []


def told_chunk(chunk: AnswerChunk) -> tuple[dict[str, Any], list[bytes]]:
    described = {"type": "chunk", "is_last": chunk.is_last}
    if chunk.chunk_index == 0:
        described |= {"type": "answered", "sample_rate": chunk.sample_rate}
        described |= {name: getattr(chunk, name) for name in FOUND}
    return described, [samples_of(chunk.answer_audio), mel_picture(chunk.answer_audio)]


def told_failure(error: Exception) -> dict[str, Any]:
    return {"type": "failed", "message": str(error)}
