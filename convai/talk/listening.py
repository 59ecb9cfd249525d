"""WebSocket /v1/listen: takes a microphone's samples, sends the events of `client.listen`.

docs/listen-protocol.md describes its messages.
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
    Transcribed,
)
from convai.client.listen import cancel_tasks
from convai.talk.access import is_key
from convai.talk.audio_formats import to_pcm
from convai.talk.mel_picture import mel_picture
from convai.talk.speech import has_model

router = APIRouter()
FIRST_MESSAGE_SECONDS = 10
ANSWER_FIELDS = ("question", "answer", "answer_score", "answer_span")


class Start(BaseModel):
    """The first message."""

    model_config = ConfigDict(extra="forbid")
    sample_rate: int
    context: str | None = None
    pause_seconds: float | None = None
    key: str | None = None


class InvalidKey(InvalidInput):
    """The first message has no key, or a wrong one."""


@router.websocket("/v1/listen")
async def listen(socket: WebSocket) -> None:
    if not is_same_origin(socket):
        return await socket.close(reason="pages of other sites may not connect")
    await socket.accept()
    try:
        with socket.app.state.limit.hold():
            await forward_events(socket, await receive_start(socket), socket.app.state.client)
        await socket.close()
    except ConvaiError as error:
        await socket.send_json(encode_failure(error))
        await socket.close()
    except WebSocketDisconnect:
        pass  # the page was closed, or needs no more


def is_same_origin(socket: WebSocket) -> bool:
    """Whether the page comes from this process. Browsers let any site open a WebSocket, and send its origin."""
    origin = socket.headers.get("origin")
    return origin is None or origin.split("://")[-1] == socket.headers.get("host")


async def receive_start(socket: WebSocket) -> Start:
    try:
        # Without a limit of time, silent connections could use up the concurrency limit.
        message = await asyncio.wait_for(receive_message(socket), FIRST_MESSAGE_SECONDS)
    except TimeoutError as error:
        raise InvalidInput(f"no first message within {FIRST_MESSAGE_SECONDS} s") from error
    try:
        start = Start.model_validate_json(message.get("text") or "")
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"the first message: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if not is_key(start.key or "", socket.app.state.settings):
        raise InvalidKey("the first message: key: expected the key of this server, got none or another")
    return start


async def forward_events(socket: WebSocket, start: Start, client: AsyncConvaiClient) -> None:
    """Send events until the last, or until the page leaves, which cancels the rest of an answer."""
    await check_server(client)
    has_ended = asyncio.Event()
    events = client.listen(
        receive_audio(socket, has_ended),
        sample_rate=start.sample_rate,
        context=start.context,
        pause_seconds=start.pause_seconds,
        time_steps=True,
        stream=await has_model(client, "convai_ensemble_stream"),
    )
    tasks = [asyncio.create_task(send_events(socket, events)), asyncio.create_task(await_departure(socket, has_ended))]
    try:
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()  # raises the task's exception
    finally:
        await cancel_tasks(*tasks)


async def send_events(socket: WebSocket, events: AsyncGenerator[Event]) -> None:
    async with aclosing(events):
        async for event in events:
            message, binaries = encode_event(event)
            await socket.send_json(message)
            for binary in binaries:
                await socket.send_bytes(binary)


async def check_server(client: AsyncConvaiClient) -> None:
    """Raise `ServerUnreachable` now rather than after the user has spoken."""
    with client.connection.translate_errors():
        if not await client.triton.is_server_ready(client_timeout=client.connection.timeout_seconds):
            raise ServerUnreachable(f"the server at {client.connection.address} is not ready; try again in a moment")


async def await_departure(socket: WebSocket, has_ended: asyncio.Event) -> None:
    """Raise WebSocketDisconnect when the page leaves after its last samples."""
    await has_ended.wait()
    while True:
        await receive_message(socket)


async def receive_audio(socket: WebSocket, has_ended: asyncio.Event) -> AsyncIterator[Array]:
    """Yield the page's samples, int16, shape = (samples,)."""
    while (samples := (await receive_message(socket)).get("bytes")) is not None:
        if len(samples) % 2:
            raise InvalidInput(f"samples: expected an even number of bytes (16 bit each), got {len(samples)}")
        yield np.frombuffer(samples, "<i2").astype(np.int16)
    has_ended.set()


async def receive_message(socket: WebSocket) -> Message:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return message


def encode_event(event: Event) -> tuple[dict[str, Any], list[bytes]]:
    """Return the JSON message of an event, and the binary messages after it."""
    match event:
        case SpeechStarted(start_seconds):
            return {"type": "speech_started", "start_seconds": start_seconds}, []
        case Caption(text, until):
            return {"type": "caption", "text": text, "heard_until_seconds": until}, []
        case SpeechEnded(audio, start, end):
            message = {"type": "speech_ended", "start_seconds": start, "end_seconds": end}
            return message | {"sample_rate": event.sample_rate}, [to_pcm(audio)]
        case NothingAsked(reason):
            return {"type": "nothing_asked", "reason": reason}, []
        case Answered(answer):
            assert answer.answer_audio is not None  # a turn requests every output
            fields = {name: getattr(answer, name) for name in ANSWER_FIELDS}
            return encode_chunk(AnswerChunk(0, True, answer.answer_audio, **fields))
        case Answering(chunk):
            return encode_chunk(chunk)
        case Transcribed(text):
            return {"type": "transcribed", "text": text}, []
        case StepsTimed(steps):
            return {"type": "steps_timed", "steps": [asdict(step) for step in steps]}, []
        case Failed(error):
            return encode_failure(error), []


def encode_chunk(chunk: AnswerChunk) -> tuple[dict[str, Any], list[bytes]]:
    message = {"type": "chunk", "is_last": chunk.is_last}
    if chunk.chunk_index == 0:
        message |= {"type": "answered", "sample_rate": chunk.sample_rate}
        message |= {name: getattr(chunk, name) for name in ANSWER_FIELDS}
    return message, [to_pcm(chunk.answer_audio), mel_picture(chunk.answer_audio)]


def encode_failure(error: Exception) -> dict[str, Any]:
    """The page has its own words for some kinds of error; the message is for the others, and for its console."""
    return {"type": "failed", "kind": type(error).__name__, "message": str(error)}
