"""Texts read aloud for other tools: whole if they are short enough for that, or else chunk by chunk."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from convai.arrays import Array
from convai.client import AsyncConvaiClient, InvalidInput

STREAM = "text_to_speech_stream"


async def has_model(client: AsyncConvaiClient, name: str) -> bool:
    """Whether the server serves this model; older ones lack those that stream."""
    with client.connection.translate_errors():
        return await client.triton.is_model_ready(name, client_timeout=client.connection.timeout_seconds)


async def speech(client: AsyncConvaiClient, text: str, *, is_urgent: bool = False) -> AsyncGenerator[Array]:
    """`text` aloud, as float32 in [-1, 1], shape = (samples,), at the voice's rate; in pieces to be joined.

    Whole, it takes one call; in chunks, it begins sooner. So those come of what is too long to be spoken whole, or
    `is_urgent`. A server without the streaming model speaks whole, or says that the text is too long.
    """
    if not is_urgent or not await has_model(client, STREAM):
        try:
            spoken = (await client.speak(text)).answer_audio
            assert spoken is not None  # `speak` asks for it
            yield spoken
            return
        except InvalidInput:  # too long, or else the stream refuses it too
            if not await has_model(client, STREAM):
                raise
    async with aclosing(client.speak_stream(text)) as chunks:
        async for chunk in chunks:
            yield chunk.answer_audio
