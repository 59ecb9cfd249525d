"""WebSocket /v1/listen: takes a microphone's samples, sends the events of `client.listen`.

docs/listen-protocol.md describes its messages.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
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
from convai.talk.access import FOREIGN, address_of, is_foreign, is_key
from convai.talk.audio_formats import to_pcm
from convai.talk.errors import public_message
from convai.talk.mel_picture import mel_picture
from convai.talk.metrics import outcome_of
from convai.talk.server import has_model, is_server_ready

router = APIRouter()
FIRST_MESSAGE_SECONDS = 2
SILENT_SECONDS = 30  # a page that listens sends samples all the time, of silence too
MAX_MESSAGE_SECONDS = 5
SAMPLE_BYTES = 2
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
    if is_foreign(socket.headers, socket.app.state.settings):
        return await socket.close(reason=FOREIGN)
    await socket.accept()
    arrival = time.monotonic()
    try:
        start = await receive_start(socket)
        with socket.app.state.limit.hold():
            await forward_events(socket, start, socket.app.state.client)
        await socket.close()
    except ConvaiError as error:
        socket.app.state.metrics.count("listen", outcome_of(error), arrival)
        with suppress(WebSocketDisconnect):
            await socket.send_json(encode_failure(error))
            await socket.close()
    except WebSocketDisconnect:
        pass  # the page was closed, or needs no more


async def receive_start(socket: WebSocket) -> Start:
    """Return the first message, before which the socket takes no slot."""
    try:
        async with socket.app.state.newcomers.wait(address_of(socket), FIRST_MESSAGE_SECONDS):
            message = await receive_message(socket)
    except TimeoutError as error:
        raise InvalidInput(f"first message: expected it within {FIRST_MESSAGE_SECONDS} s, got none") from error
    try:
        start = Start.model_validate_json(message.get("text") or "")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInput(": ".join(filter(None, ("first message", place, first["msg"])))) from error
    if not is_key(start.key or "", socket.app.state.settings):
        raise InvalidKey("first message: key: expected the key of this server, got none or another")
    check_context(start.context)
    return start


def check_context(context: str | None) -> None:
    """Refuse a text without words, as the server would after the question."""
    if context is not None and not any(letter.isprintable() and not letter.isspace() for letter in context):
        raise InvalidInput(f"context: expected at least one word, got none in {len(context)} characters")


async def forward_events(socket: WebSocket, start: Start, client: AsyncConvaiClient) -> None:
    """Send events until the last, or until the page leaves, which cancels the rest of an answer."""
    await check_server(client)
    has_ended = asyncio.Event()
    listened = client.listen(
        receive_audio(socket, start.sample_rate, has_ended),
        sample_rate=start.sample_rate,
        context=start.context,
        pause_seconds=start.pause_seconds,
        time_steps=True,
        stream=await has_model(client, "convai_ensemble_stream"),
    )
    events = socket.app.state.metrics.count_questions(listened)
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
    if not await is_server_ready(client, client.connection.timeout_seconds):
        raise ServerUnreachable(f"the server at {client.connection.address} is not ready or does not answer")


async def await_departure(socket: WebSocket, has_ended: asyncio.Event) -> None:
    """Raise WebSocketDisconnect when the page leaves after its last samples."""
    await has_ended.wait()
    while True:
        await receive_message(socket)


async def receive_audio(socket: WebSocket, sample_rate: int, has_ended: asyncio.Event) -> AsyncIterator[Array]:
    """Yield the page's samples, int16, shape = (samples,)."""
    while (samples := await receive_samples(socket)) is not None:
        if len(samples) % SAMPLE_BYTES:
            raise InvalidInput(f"samples: expected an even number of bytes (16 bit each), got {len(samples)}")
        seconds = len(samples) / (SAMPLE_BYTES * sample_rate)
        if seconds > MAX_MESSAGE_SECONDS:
            raise InvalidInput(f"samples: expected at most {MAX_MESSAGE_SECONDS} s in a message, got {seconds:.1f} s")
        yield np.frombuffer(samples, "<i2").astype(np.int16)
    has_ended.set()


async def receive_samples(socket: WebSocket) -> bytes | None:
    """Return the bytes of a message; None for the text that ends them."""
    try:
        return (await asyncio.wait_for(receive_message(socket), SILENT_SECONDS)).get("bytes")
    except TimeoutError as error:
        raise InvalidInput(f"samples: expected some at least every {SILENT_SECONDS} s, got none") from error


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
    return {"type": "failed", "kind": type(error).__name__, "message": public_message(error)}
