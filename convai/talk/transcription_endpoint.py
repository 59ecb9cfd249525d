"""OpenAI's POST /v1/audio/transcriptions: recordings of up to 3 h, whole or segment by segment."""

import logging
import math
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, BeforeValidator, Field

from convai.client.errors import ConvaiError
from convai.client.transcription import Recording, Segment, as_srt, as_vtt, join_texts
from convai.description.limits import MAX_CONTEXT_BYTES
from convai.talk.audio_formats import naming
from convai.talk.errors import BadRequest, describe_error, name_request
from convai.talk.responses import encode_event, prepend, run_while_connected

logger = logging.getLogger(__name__)
router = APIRouter(tags=["OpenAI"])

ENGLISH = ("", "en", "eng", "english", "auto")
TranscriptFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]


def or_left_out(default: Any) -> BeforeValidator:
    """Forms have no null: their clients send the word, or nothing."""
    return BeforeValidator(lambda value: default if value in (None, "", "null") else value)


class Usage(BaseModel):
    type: Literal["duration"] = "duration"
    seconds: int = Field(description="of the recording, rounded up")


class Transcription(BaseModel):
    text: str
    usage: Usage


class TranscriptionSegment(BaseModel):
    id: int
    seek: int = Field(description="start in hundredths of a second")
    start: float = Field(description="of the speech, in seconds")
    end: float = Field(description="of the speech, in seconds")
    text: str
    tokens: list[int] = Field(default=[], description="always empty: the recogniser has no tokens")
    temperature: float = Field(default=0.0, description="always 0: recognition does not sample")
    avg_logprob: float = Field(default=0.0, description="always 0: not known")
    compression_ratio: float = Field(description="bytes of the text by its bytes compressed with zlib")
    no_speech_prob: float = Field(description="1 minus the mean speech probability of the voice activity detector")


class TranscriptionWord(BaseModel):
    word: str
    start: float = Field(description="in seconds")
    end: float = Field(description="in seconds")


class VerboseTranscription(Transcription):
    task: Literal["transcribe"] = "transcribe"
    language: Literal["english"] = "english"
    duration: float = Field(description="of the recording, in seconds")
    segments: list[TranscriptionSegment] = Field(description="speech of up to 25 s between pauses")
    words: list[TranscriptionWord] | None = Field(default=None, description="with timestamp_granularities[]=word")


@router.post("/v1/audio/transcriptions", response_model=VerboseTranscription | Transcription)
async def transcribe(
    request: Request,
    file: Annotated[UploadFile, File(description="audio or video in any usual container, 0.1 s to 3 h")],
    model: Annotated[str, Form(description="ignored")] = "speech_to_text",
    language: Annotated[
        str, Form(description="English as en, en-US, eng or english; or auto"), or_left_out("en")
    ] = "en",
    prompt: Annotated[str, Form(description="words to expect, up to 32 KiB"), or_left_out("")] = "",
    response_format: Annotated[TranscriptFormat, Form(), or_left_out("json")] = "json",
    temperature: Annotated[float, Form(description="ignored: recognition does not sample"), or_left_out(0)] = 0.0,
    stream: Annotated[bool, Form(description="send events, one for each segment"), or_left_out(False)] = False,
    timestamp_granularities: Annotated[
        list[Annotated[Literal["segment", "word"], or_left_out("segment")]],
        Form(alias="timestamp_granularities[]", description="of verbose_json; with word, `prompt` is ignored"),
    ] = [],  # noqa: B006 FastAPI copies it
) -> Response:
    """Transcribe a recording in English: lower case, no punctuation.

    With `stream`, server-sent events: `transcript.text.delta` for each segment, then `transcript.text.done`.
    """
    check_language(language)
    if len(prompt.encode()) > MAX_CONTEXT_BYTES:
        raise BadRequest(
            f"prompt: expected at most {MAX_CONTEXT_BYTES:,} bytes, got {len(prompt.encode()):,}", "prompt"
        )
    with_words = "word" in timestamp_granularities
    if with_words and response_format != "verbose_json":
        raise BadRequest(
            f"response_format: expected verbose_json with times of words, got {response_format}", "response_format"
        )
    if stream and response_format not in ("json", "text"):
        raise BadRequest(f"response_format: expected json with stream, got {response_format}", "response_format")
    recording = Recording(request.app.state.client, await file.read(), prompt, with_words=with_words)
    respond = stream_events(recording, request) if stream else send_whole(recording, request, response_format)
    return await run_while_connected(request, respond)


def check_language(language: str) -> None:
    if re.split("[-_]", language.strip().lower())[0] not in ENGLISH:
        raise BadRequest(f"language: expected en, the only one that is recognised, got {language!r}", "language")


async def send_whole(recording: Recording, request: Request, response_format: TranscriptFormat) -> Response:
    with naming("file"):
        async with aclosing(recording.segments()) as found:
            segments = [segment async for segment in found]
    count_if_empty(segments, request)
    match response_format:
        case "text":
            return PlainTextResponse(join_texts(segments) + "\n")
        case "srt":
            return PlainTextResponse(as_srt(segments))
        case "vtt":
            return PlainTextResponse(as_vtt(segments), media_type="text/vtt")
        case "json":
            return JSONResponse(Transcription(text=join_texts(segments), usage=usage_of(recording)).model_dump())
        case "verbose_json":
            return JSONResponse(describe(recording, segments).model_dump())


def describe(recording: Recording, segments: list[Segment]) -> VerboseTranscription:
    return VerboseTranscription(
        text=join_texts(segments),
        usage=usage_of(recording),
        duration=round(recording.seconds, 3),
        segments=[
            TranscriptionSegment(
                id=number,
                seek=int(100 * segment.start_seconds),
                start=round(segment.start_seconds, 3),
                end=round(segment.end_seconds, 3),
                text=segment.text,
                compression_ratio=round(compression_ratio(segment.text), 3),
                no_speech_prob=round(1 - segment.speech_probability, 3),
            )
            for number, segment in enumerate(segments)
        ],
        words=[
            TranscriptionWord(word=one.text, start=round(one.start_seconds, 3), end=round(one.end_seconds, 3))
            for segment in segments
            for one in segment.words
        ]
        if recording.with_words
        else None,
    )


def usage_of(recording: Recording) -> Usage:
    return Usage(seconds=math.ceil(recording.seconds))


def compression_ratio(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data))


async def stream_events(recording: Recording, request: Request) -> Response:
    """Start the response once the first segment is there, so that a request that fails at once gets an error status."""
    segments = recording.segments()
    with naming("file"):
        first = await anext(segments, None)
    found = segments if first is None else prepend(first, segments)
    return StreamingResponse(encode_events(recording, found, request), media_type="text/event-stream")


async def encode_events(recording: Recording, found: AsyncGenerator[Segment], request: Request) -> AsyncIterator[str]:
    segments: list[Segment] = []
    text = ""
    try:
        async with aclosing(found):
            with naming("file"):
                async for segment in found:
                    segments.append(segment)
                    if segment.text:
                        delta = f" {segment.text}" if text else segment.text
                        text += delta
                        yield encode_event({"type": "transcript.text.delta", "delta": delta})
    except ConvaiError as error:
        yield encode_event({"error": describe_error(error, name_request(request.scope))})
        return
    count_if_empty(segments, request)
    yield encode_event({"type": "transcript.text.done", "text": text, "usage": usage_of(recording).model_dump()})


def count_if_empty(segments: list[Segment], request: Request) -> None:
    """Count a recording with speech of which nothing was understood: noise, another language, or a fault."""
    if any(segment.has_speech for segment in segments) and not join_texts(segments):
        request.app.state.metrics.empty_transcripts.inc()
        seconds = sum(segment.end_seconds - segment.start_seconds for segment in segments)
        logger.warning("a recording with %.1f s of speech has an empty transcript", seconds)
