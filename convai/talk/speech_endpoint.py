"""OpenAI's POST /v1/audio/speech: a text, sent as audio while it is spoken."""

import base64
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, model_validator
from starlette.types import Receive, Scope, Send

from convai.client import AsyncConvaiClient, ConvaiError
from convai.description.limits import MAX_SPEED, MIN_SPEED
from convai.description.pipeline import VOICE_HOP_LENGTH
from convai.talk.audio_formats import ENCODINGS, AudioFormat, StreamEncoder
from convai.talk.errors import BadRequest, describe_error
from convai.talk.request_ids import id_of
from convai.talk.responses import encode_event, prepend, run_while_connected
from convai.talk.server import stream_speech

logger = logging.getLogger(__name__)
router = APIRouter(tags=["OpenAI"])
MAX_SPEECH_CHARACTERS = 4096  # OpenAI's limit


class SpeechRequest(BaseModel):
    input: str = Field(description="the text to speak, in English", max_length=MAX_SPEECH_CHARACTERS)
    model: str = Field("text_to_speech", description="ignored")
    voice: str | dict[str, Any] = Field("convai", description="ignored")
    response_format: AudioFormat = "mp3"
    speed: float = Field(1.0, description=f"{MIN_SPEED:g} to {MAX_SPEED:g}; the pitch stays")
    instructions: str | None = Field(None, description="ignored")
    stream_format: Literal["audio", "sse"] = "audio"

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, body: Any) -> Any:
        """A field that is null is as if it were left out."""
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body


@router.post("/v1/audio/speech", response_class=Response)
async def speak(request: Request, body: SpeechRequest) -> Response:
    """Speak a text, at 22,050 Hz; `opus` and `pcm` at 24 kHz. Every format is sent while the rest is synthesised.

    `pcm` is 16 bit, little-endian, mono. `sse` sends events: `speech.audio.delta` with `audio` in base64, and
    `speech.audio.done` with `usage`, whose tokens are characters of the text and frames of 11.6 ms of speech.
    """
    if not MIN_SPEED <= body.speed <= MAX_SPEED:
        raise BadRequest(f"speed: expected {MIN_SPEED:g} to {MAX_SPEED:g}, got {body.speed:g}", "speed")
    return await run_while_connected(request, start_speech(request.app.state.client, body))


async def start_speech(client: AsyncConvaiClient, body: SpeechRequest) -> Response:
    """Start the response once the first audio is there, so that a request that fails at once gets an error status."""
    encoder = StreamEncoder(body.response_format)
    speech = encoder.encode(stream_speech(client, body.input, speed=body.speed))
    audio = prepend(await anext(speech), speech)
    if body.stream_format == "sse":
        return SpeechStream(speech, encode_events(audio, len(body.input), encoder), "text/event-stream")
    return SpeechStream(speech, audio, ENCODINGS[body.response_format].media_type)


class SpeechStream(StreamingResponse):
    """A body made of `speech`, which is stopped when the caller goes.

    If synthesis fails midway, the body stays incomplete: uvicorn then closes the connection.
    """

    def __init__(self, speech: AsyncGenerator[bytes], body: AsyncIterator[str | bytes], media_type: str):
        super().__init__(body, media_type=media_type)
        self.speech = speech

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self.speech):
                await super().__call__(scope, receive, send)
        except* ConvaiError as group:  # uvicorn would log it with a long traceback
            logger.error("speech broke off: %s (request %s)", group.exceptions[0], id_of(scope))


async def encode_events(audio: AsyncIterator[bytes], num_characters: int, encoder: StreamEncoder) -> AsyncIterator[str]:
    try:
        async for data in audio:
            yield encode_event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})
    except ConvaiError as error:
        yield encode_event({"error": describe_error(error)})
        raise
    num_frames = encoder.num_samples // VOICE_HOP_LENGTH
    usage = {"input_tokens": num_characters, "output_tokens": num_frames, "total_tokens": num_characters + num_frames}
    yield encode_event({"type": "speech.audio.done", "usage": usage})
