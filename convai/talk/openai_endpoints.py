"""OpenAI's speech interfaces: POST /v1/audio/transcriptions and POST /v1/audio/speech.

`model` and `voice` are accepted and ignored; there is only one of each.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Send

from convai.arrays import Array
from convai.client import ConvaiError
from convai.talk.audio_formats import ENCODINGS, AudioFormat, decode_audio, encode_audio, encode_pcm_stream
from convai.talk.errors import BadRequest
from convai.talk.speech import stream_speech

logger = logging.getLogger(__name__)
router = APIRouter(tags=["OpenAI"])
MAX_SPEECH_CHARACTERS = 4096  # OpenAI's limit


class Transcription(BaseModel):
    text: str


class Segment(BaseModel):
    id: int
    start: float = Field(description="seconds")
    end: float = Field(description="seconds")
    text: str


class VerboseTranscription(Transcription):
    task: Literal["transcribe"] = "transcribe"
    language: Literal["english"] = "english"
    duration: float = Field(description="of the recording, in seconds")
    segments: list[Segment] = Field(description="one: the whole recording")


class SpeechRequest(BaseModel):
    input: str = Field(description="the text to speak, in English", max_length=MAX_SPEECH_CHARACTERS)
    model: str = Field("text_to_speech", description="ignored")
    voice: str | dict[str, Any] = Field("convai", description="ignored")
    response_format: AudioFormat = "mp3"
    speed: float = Field(1.0, description="only 1 is supported")
    instructions: str | None = Field(None, description="ignored")
    stream_format: Literal["audio"] = "audio"


@router.post("/v1/audio/transcriptions", response_model=VerboseTranscription | Transcription)
async def transcribe(
    request: Request,
    file: Annotated[UploadFile, File(description="WAV, FLAC, Ogg, MP3 and other formats of libsndfile, up to 30 s")],
    model: Annotated[str, Form(description="ignored")] = "speech_to_text",
    language: Annotated[str, Form(description="only en is supported")] = "en",
    prompt: Annotated[str, Form(description="ignored")] = "",
    response_format: Annotated[Literal["json", "text", "verbose_json"], Form()] = "json",
    temperature: Annotated[float, Form(description="ignored: recognition does not sample")] = 0.0,
    stream: Annotated[bool, Form(description="only false is supported")] = False,
) -> Response:
    """Transcribe a recording in English: lower case, no punctuation."""
    if language.lower().split("-")[0] not in ("en", "english"):
        raise BadRequest(f"language: expected en, the only one that is recognised, got {language!r}", "language")
    if stream:
        raise BadRequest("stream: expected false, got true; a transcript comes in one piece", "stream")
    audio, sample_rate = await asyncio.to_thread(decode_audio, await file.read(), "file")
    text = await request.app.state.client.transcribe(audio, sample_rate=sample_rate)
    if response_format == "text":
        return PlainTextResponse(text + "\n")
    if response_format == "json":
        return JSONResponse(Transcription(text=text).model_dump())
    seconds = round(len(audio) / sample_rate, 3)
    segments = [Segment(id=0, start=0.0, end=seconds, text=text)]
    return JSONResponse(VerboseTranscription(text=text, duration=seconds, segments=segments).model_dump())


@router.post("/v1/audio/speech", response_class=Response)
async def speak(request: Request, body: SpeechRequest) -> Response:
    """Speak a text, at 22,050 Hz; `opus` and `pcm` at 24 kHz.

    `pcm` is 16 bit, little-endian, mono, as OpenAI's, and is sent chunk by chunk while the rest is synthesised.
    """
    if body.speed != 1.0:
        raise BadRequest(f"speed: expected 1, the only one that is supported, got {body.speed:g}", "speed")
    audio_format = body.response_format
    media_type = ENCODINGS[audio_format].media_type
    pieces = stream_speech(request.app.state.client, body.input, is_urgent=audio_format == "pcm")
    first = await anext(pieces)  # a request that fails at once gets an error status
    if audio_format == "pcm":
        return SpeechStream(encode_pcm_stream(prepend(first, pieces)), media_type=media_type)
    audio = np.concatenate([first, *[piece async for piece in pieces]])
    return Response(await asyncio.to_thread(encode_audio, audio, audio_format), media_type=media_type)


class SpeechStream(StreamingResponse):
    """A body that, if synthesis fails midway, stays incomplete: uvicorn then closes the connection."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except ConvaiError as error:  # uvicorn would log it with a long traceback
            logger.error("speech broke off: %s", error)


async def prepend(first: Array, pieces: AsyncIterator[Array]) -> AsyncIterator[Array]:
    yield first
    async for piece in pieces:
        yield piece
