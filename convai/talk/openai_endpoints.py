"""OpenAI's GET /v1/models, and the refusal of translations. Speech and transcriptions have modules of their own."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from convai.talk.errors import error_response

router = APIRouter(tags=["OpenAI"])


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="not known")
    owned_by: str = "convai"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


MODELS = {name: Model(id=name) for name in ("speech_to_text", "question_answering", "text_to_speech")}


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
