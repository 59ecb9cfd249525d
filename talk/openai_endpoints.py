"""OpenAI's speech interfaces: POST /v1/audio/transcriptions and POST /v1/audio/speech.

The names of models and voices that clients send are taken and not looked at: there is one of each.
"""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field

from convai.talk.errors import BadRequest
from convai.talk.sounds import decoded, encoded, media_type

router = APIRouter(tags=["OpenAI"])
AudioFormat = Literal["wav", "pcm", "flac", "opus", "mp3"]


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
    input: str = Field(description="the text to speak, in English")
    model: str = "text_to_speech"
    voice: str | dict = "convai"
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
    """A text read aloud, at 22,050 Hz. `pcm` is 16 bit, little-endian, mono at 24 kHz, as OpenAI's; so is Opus."""
    if wanted.speed != 1.0:
        raise BadRequest(f"speed is {wanted.speed:g}; the voice speaks at 1 alone", "speed")
    spoken = await request.app.state.client.speak(wanted.input)
    content = await asyncio.to_thread(encoded, spoken.answer_audio, spoken.sample_rate, wanted.response_format)
    return Response(content, media_type=media_type(wanted.response_format))


def check_language(language: str) -> None:
    if language.lower().split("-")[0] not in ("en", "english"):
        raise BadRequest(f"language is {language!r}; the recogniser knows English, en, alone", "language")
