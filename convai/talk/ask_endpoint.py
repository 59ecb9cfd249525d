"""POST /v1/ask: takes a recording and a text, returns the transcript, the answer and the spoken answer."""

import asyncio
import base64
from typing import Annotated

import soxr
from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field

from convai.description.limits import MAX_CONTEXT_BYTES
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.talk.audio_formats import AudioFormat, decode_audio, encode_audio, to_pcm
from convai.talk.errors import BadRequest
from convai.talk.transcription_endpoint import or_left_out

router = APIRouter(tags=["convai"])


class AskResponse(BaseModel):
    question: str = Field(description="the transcript of the recording")
    answer: str = Field(description="the part of the context that answers, verbatim; empty if there is none")
    answer_score: float = Field(description="confidence, 0 to 1")
    answer_span: tuple[int, int] = Field(description="first character, and one past the last; -1, -1 for no answer")
    audio_format: AudioFormat
    answer_audio: str = Field(description="the spoken answer, in base64")


@router.post("/v1/ask")
async def ask(
    request: Request,
    audio: Annotated[UploadFile, File(description="the spoken question, 0.1 s to 30 s, in any usual container")],
    context: Annotated[
        str | UploadFile,
        Form(description=f"the text to answer from, as a field or a file: up to {MAX_CONTEXT_BYTES:,} bytes of UTF-8"),
    ],
    audio_format: Annotated[AudioFormat, Form(description="of the spoken answer"), or_left_out("wav")] = "wav",
    seed: Annotated[
        int | None, Form(description="another seed gives another rendering of the spoken answer"), or_left_out(None)
    ] = None,
) -> AskResponse:
    """Answer a spoken question from a text."""
    samples, sample_rate = await asyncio.to_thread(decode_audio, await audio.read(), "audio")
    text = context if isinstance(context, str) else decode_text(await context.read())
    answer = await request.app.state.client.ask(samples, sample_rate=sample_rate, context=text, seed=seed)
    speech = await asyncio.to_thread(encode_audio, answer.answer_audio, audio_format)
    return AskResponse(
        question=answer.question,
        answer=answer.answer,
        answer_score=answer.answer_score,
        answer_span=answer.answer_span,
        audio_format=audio_format,
        answer_audio=base64.b64encode(speech).decode(),
    )


@router.post("/v1/decode", include_in_schema=False)
async def decode(file: Annotated[UploadFile, File()]) -> Response:
    """Decode a question for the page, whose browser knows fewer containers: to 16-bit samples at 16 kHz."""
    samples, sample_rate = await asyncio.to_thread(decode_audio, await file.read(), "file")
    return Response(to_pcm(soxr.resample(samples, sample_rate, SAMPLE_RATE_HERTZ)), media_type="audio/pcm")


def decode_text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"context: expected UTF-8, got {error.reason} at byte {error.start}", "context") from error
