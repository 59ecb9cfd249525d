"""Describes the programs behind Wyoming, as Home Assistant shows them."""

import asyncio
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
from convai.talk.server import read_recogniser_name

DESCRIBE_SECONDS = 0.5  # for the recogniser's name; Home Assistant waits 1 s in older versions
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
    try:
        async with asyncio.timeout(DESCRIBE_SECONDS):
            name = await read_recogniser_name(client)
    except TimeoutError:
        name = None
    return Info(
        asr=[AsrProgram(description=name or "unknown", models=[recogniser], **IDENTITY)],
        tts=[
            TtsProgram(
                description="Tacotron 2 and WaveGlow", voices=[voice], supports_synthesize_streaming=True, **IDENTITY
            )
        ],
        handle=[HandleProgram(description="Answers from a text", models=[agent], **IDENTITY)] if can_answer else [],
    )
