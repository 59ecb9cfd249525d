"""OpenAI's speech interfaces: POST /v1/audio/transcriptions and POST /v1/audio/speech.

The names of models and voices that clients send are taken and not looked at: there is one of each.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field

from convai.arrays import Array
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.talk.errors import BadRequest
from convai.talk.sounds import decoded, encoded, media_type, pcm_pieces
from convai.talk.speech import speech as speech_of

router = APIRouter(tags=["OpenAI"])
AudioFormat = Literal["wav", "pcm", "flac", "opus", "mp3"]
MAX_SPOKEN_CHARACTERS = 4096  # as at OpenAI


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


class Speech(BaseModel):
    input: str = Field(description="the text to speak, in English", max_length=MAX_SPOKEN_CHARACTERS)
    model: str = "text_to_speech"
    voice: str | dict[str, Any] = "convai"
    response_format: AudioFormat = "mp3"
    speed: float = Field(1.0, description="1 is the only one there is")
    instructions: str | None = Field(None, description="not followed: the voice has one manner")
    stream_format: Literal["audio"] = "audio"


@router.post("/v1/audio/transcriptions", response_model=VerboseTranscription | Transcription)
async def transcriptions(
    request: Request,
    file: Annotated[UploadFile, File(description="WAV, FLAC, Ogg, MP3 and what else libsndfile reads, up to 30 s")],
    model: Annotated[str, Form()] = "speech_to_text",
    language: Annotated[str, Form(description="en is the only one there is")] = "en",
    prompt: Annotated[str, Form(description="not used")] = "",
    response_format: Annotated[Literal["json", "text", "verbose_json"], Form()] = "json",
    temperature: Annotated[float, Form(description="not used: the words heard do not depend on chance")] = 0.0,
    stream: Annotated[bool, Form(description="false is the only one there is")] = False,
) -> Response:
    """The words of a recording in English, in lower case, without punctuation."""
    check_language(language)
    if stream:
        raise BadRequest("stream is true; a transcript comes in one piece here, leave it out", "stream")
    audio, sample_rate = await asyncio.to_thread(decoded, await file.read(), "file")
    text = await request.app.state.client.transcribe(audio, sample_rate=sample_rate)
    if response_format == "text":
        return PlainTextResponse(text + "\n")
    if response_format == "json":
        return JSONResponse(Transcription(text=text).model_dump())
    seconds = round(len(audio) / sample_rate, 3)
    segments = [Segment(id=0, start=0.0, end=seconds, text=text)]
    return JSONResponse(VerboseTranscription(text=text, duration=seconds, segments=segments).model_dump())


@router.post("/v1/audio/speech", response_class=Response)
async def speech(request: Request, wanted: Speech) -> Response:
    """A text read aloud, at 22,050 Hz. `pcm` is 16 bit, little-endian, mono at 24 kHz, as OpenAI's; so is Opus.

    `pcm` comes chunk by chunk, while the rest is spoken.
    """
    if wanted.speed != 1.0:
        raise BadRequest(f"speed is {wanted.speed:g}; the voice speaks at 1 alone", "speed")
    form = wanted.response_format
    pieces = speech_of(request.app.state.client, wanted.input, is_urgent=form == "pcm")
    first = await anext(pieces)  # what is wrong is told with a status, before anything is sent
    if form == "pcm":
        return StreamingResponse(pcm_pieces(followed(first, pieces)), media_type=media_type(form))
    audio = np.concatenate([first, *[piece async for piece in pieces]])
    content = await asyncio.to_thread(encoded, audio, VOICE_SAMPLE_RATE_HERTZ, form)
    return Response(content, media_type=media_type(form))


async def followed(first: Array, pieces: AsyncIterator[Array]) -> AsyncIterator[Array]:
    yield first
    async for piece in pieces:
        yield piece


def check_language(language: str) -> None:
    if language.lower().split("-")[0] not in ("en", "english"):
        raise BadRequest(f"language is {language!r}; the recogniser knows English, en, alone", "language")
