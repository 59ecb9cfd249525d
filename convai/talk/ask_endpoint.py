"""POST /v1/ask: a recording and a text in, the answer in words and sound out."""

import asyncio
import base64
import json
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from convai.client import Answer
from convai.description.limits import MAX_CONTEXT_BYTES
from convai.talk.errors import BadRequest
from convai.talk.openai_endpoints import AudioFormat
from convai.talk.sounds import decoded, encoded, media_type

router = APIRouter(tags=["convai"])


class AskedAnswer(BaseModel):
    question: str = Field(description="what was heard")
    answer: str = Field(
        description="the part of the context that answers, character for character; empty when none does"
    )
    answer_score: float = Field(description="how sure the server is, 0 to 1")
    answer_span: tuple[int, int] = Field(description="its first character, and the one after its last; -1, -1 for none")
    audio_format: AudioFormat
    answer_audio: str | None = Field(description="the spoken answer, in base64; null in a multipart response")


@router.post("/v1/ask", response_model=AskedAnswer)
async def ask(
    request: Request,
    audio: Annotated[UploadFile, File(description="the spoken question, 0.1 s to 30 s: WAV, FLAC, Ogg, MP3 and more")],
    context: Annotated[
        str | UploadFile,
        Form(description=f"the text to answer from, as a field or a file: up to {MAX_CONTEXT_BYTES:,} bytes of UTF-8"),
    ],
    audio_format: Annotated[AudioFormat, Form(description="of the spoken answer")] = "wav",
    response_format: Annotated[
        Literal["json", "multipart"], Form(description="multipart has the audio as a part of its own, as bytes")
    ] = "json",
    seed: Annotated[int | None, Form(description="another seed gives another take of the spoken answer")] = None,
) -> Response:
    """Answer a spoken question from a text."""
    samples, sample_rate = await asyncio.to_thread(decoded, await audio.read(), "audio")
    client = request.app.state.client
    answer = await client.ask(samples, sample_rate=sample_rate, context=await text_of(context), seed=seed)
    sound = await asyncio.to_thread(encoded, answer.answer_audio, answer.sample_rate, audio_format)
    if response_format == "multipart":
        return multipart(described(answer, audio_format, None), sound, audio_format)
    return JSONResponse(described(answer, audio_format, base64.b64encode(sound).decode()))


async def text_of(context: str | UploadFile) -> str:
    if isinstance(context, str):
        return context
    try:
        return (await context.read()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"context is not UTF-8 text: {error.reason} at byte {error.start}", "context") from error


def described(answer: Answer, audio_format: AudioFormat, audio: str | None) -> dict[str, Any]:
    assert answer.question is not None and answer.answer is not None  # a question asks for both, and for
    assert answer.answer_score is not None and answer.answer_span is not None
    return AskedAnswer(
        question=answer.question,
        answer=answer.answer,
        answer_score=answer.answer_score,
        answer_span=answer.answer_span,
        audio_format=audio_format,
        answer_audio=audio,
    ).model_dump(mode="json")


def multipart(described: dict[str, Any], sound: bytes, audio_format: AudioFormat) -> Response:
    """Two parts: `answer`, JSON, and `answer_audio`, a file."""
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="answer"\r\nContent-Type: application/json\r\n\r\n'
        f"{json.dumps(described)}\r\n--{boundary}\r\n"
        f'Content-Disposition: form-data; name="answer_audio"; filename="answer.{audio_format}"\r\n'
        f"Content-Type: {media_type(audio_format)}\r\n\r\n"
    )
    body = head.encode() + sound + f"\r\n--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")
