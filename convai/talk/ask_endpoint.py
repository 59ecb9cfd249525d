"""POST /v1/ask: takes a spoken or typed question and a text, returns the question, the answer and the spoken answer."""

import asyncio
import base64
from dataclasses import replace
from typing import Annotated, Any

import soxr
from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field

from convai.client import AsyncConvaiClient
from convai.description.limits import MAX_CONTEXT_BYTES
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.talk.audio_formats import AudioFormat, decode_audio, encode_audio, to_pcm
from convai.talk.errors import BadRequest
from convai.talk.responses import run_while_connected
from convai.talk.transcription_endpoint import or_left_out

router = APIRouter(tags=["convai"])


class AskResponse(BaseModel):
    question: str = Field(description="the transcript of the recording, or the typed question")
    answer: str = Field(description="the part of the context that answers, verbatim; empty if there is none")
    answer_score: float = Field(description="confidence, 0 to 1")
    answer_span: tuple[int, int] = Field(description="first character, and one past the last; -1, -1 for no answer")
    audio_format: AudioFormat
    answer_audio: str = Field(description="the spoken answer, in base64")


@router.post("/v1/ask", response_model=AskResponse)
async def ask(
    request: Request,
    context: Annotated[
        str | UploadFile,
        Form(description=f"the text to answer from, as a field or a file: up to {MAX_CONTEXT_BYTES:,} bytes of UTF-8"),
    ],
    audio: Annotated[
        UploadFile | None, File(description="the spoken question, 0.1 s to 30 s, in any usual container")
    ] = None,
    question: Annotated[
        str | None, Form(description="the typed question, in place of `audio`"), or_left_out(None)
    ] = None,
    audio_format: Annotated[AudioFormat, Form(description="of the spoken answer"), or_left_out("wav")] = "wav",
    seed: Annotated[
        int | None, Form(description="another seed gives another rendering of the spoken answer"), or_left_out(None)
    ] = None,
) -> Response | AskResponse:
    """Answer a spoken or typed question from a text."""
    client = request.app.state.client
    if (audio is None) == (question is None):
        given = "neither" if audio is None else "both"
        raise BadRequest(f"audio, question: expected either a recording or a typed question, got {given}", "question")
    text = context if isinstance(context, str) else decode_text(await context.read())
    if audio is not None:
        samples, sample_rate = await asyncio.to_thread(decode_audio, await audio.read(), "audio")
        work = client.ask(samples, sample_rate=sample_rate, context=text, seed=seed)
    else:
        work = answer_typed(client, question or "", text, seed)
    answer = await run_while_connected(request, work)
    if isinstance(answer, Response):
        return answer
    speech = await asyncio.to_thread(encode_audio, answer.answer_audio, audio_format)
    return AskResponse(
        question=answer.question,
        answer=answer.answer,
        answer_score=answer.answer_score,
        answer_span=answer.answer_span,
        audio_format=audio_format,
        answer_audio=base64.b64encode(speech).decode(),
    )


async def answer_typed(client: AsyncConvaiClient, question: str, context: str, seed: int | None) -> Any:
    """Answer and speak in two calls, as the pipeline does in one; return an `Answer` with what both made."""
    answer = await client.answer_text(question, context)
    spoken = await client.speak(answer.sentence or "", seed=seed)
    return replace(answer, question=question, answer_audio=spoken.answer_audio)


@router.post("/v1/decode", include_in_schema=False)
async def decode(file: Annotated[UploadFile, File()]) -> Response:
    """Decode a question for the page, whose browser knows fewer containers: to 16-bit samples at 16 kHz."""
    return Response(await asyncio.to_thread(decode_to_pcm, await file.read()), media_type="audio/pcm")


def decode_to_pcm(data: bytes) -> bytes:
    samples, sample_rate = decode_audio(data, "file")
    return to_pcm(soxr.resample(samples, sample_rate, SAMPLE_RATE_HERTZ))


def decode_text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"context: expected UTF-8, got {error.reason} at byte {error.start}", "context") from error
