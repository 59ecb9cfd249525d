"""Describes the programs behind Wyoming, as Home Assistant shows them."""

from typing import Any

from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    HandleModel,
    HandleProgram,
    Info,
    TtsProgram,
    TtsVoice,
)

from convai.client import AsyncConvaiClient
from convai.talk.recogniser import read_recogniser_name

IDENTITY: dict[str, Any] = {
    "name": "convai",
    "attribution": Attribution(name="convai", url=""),
    "installed": True,
    "version": None,
}


async def describe(client: AsyncConvaiClient, *, can_answer: bool) -> Info:
    """Describe recogniser and voice, and the conversation agent if there is a text to answer from."""
    recogniser = AsrModel(description="English, lower case", languages=["en"], **IDENTITY)
    voice = TtsVoice(description="English", languages=["en"], **IDENTITY)
    agent = HandleModel(description="English", languages=["en"], **IDENTITY)
    name = await read_recogniser_name(client) or "unknown"
    return Info(
        asr=[AsrProgram(description=name, models=[recogniser], **IDENTITY)],
        tts=[
            TtsProgram(
                description="Tacotron 2 and WaveGlow", voices=[voice], supports_synthesize_streaming=True, **IDENTITY
            )
        ],
        handle=[HandleProgram(description="Answers from a text", models=[agent], **IDENTITY)] if can_answer else [],
    )
