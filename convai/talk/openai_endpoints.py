"""OpenAI's POST /v1/audio/speech and GET /v1/models. Transcriptions have a module of their own.

`model` and `voice` are accepted and ignored; there is only one of each.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, model_validator
from starlette.types import Send

from convai.arrays import Array
from convai.client import ConvaiError
from convai.talk.audio_formats import ENCODINGS, AudioFormat, encode_audio, encode_pcm_stream
from convai.talk.errors import BadRequest, error_response
from convai.talk.speech import stream_speech

logger = logging.getLogger(__name__)
router = APIRouter(tags=["OpenAI"])
MAX_SPEECH_CHARACTERS = 4096  # OpenAI's limit


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="not known")
    owned_by: str = "convai"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


MODELS = {name: Model(id=name) for name in ("speech_to_text", "question_answering", "text_to_speech")}


class SpeechRequest(BaseModel):
    input: str = Field(description="the text to speak, in English", max_length=MAX_SPEECH_CHARACTERS)
    model: str = Field("text_to_speech", description="ignored")
    voice: str | dict[str, Any] = Field("convai", description="ignored")
    response_format: AudioFormat = "mp3"
    speed: float = Field(1.0, description="only 1 is supported")
    instructions: str | None = Field(None, description="ignored")
    stream_format: Literal["audio"] = "audio"

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, body: Any) -> Any:
        """A field that is null is as if it were left out."""
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body


@router.post("/v1/audio/translations", include_in_schema=False)
async def translate() -> Response:
    return error_response(404, "Nothing is translated here: speech and text are English. See /v1/audio/transcriptions.")


@router.get("/v1/models")
async def list_models() -> ModelList:
    """List the names that `model` may have; any other name is accepted too, and means the same."""
    return ModelList(data=list(MODELS.values()))


@router.get("/v1/models/{name}", response_model=Model)
async def get_model(name: str) -> Response | Model:
    if name not in MODELS:
        message = f"model: expected one of {', '.join(MODELS)}, got {name!r}"
        return error_response(404, message, "model", "model_not_found")
    return MODELS[name]


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
