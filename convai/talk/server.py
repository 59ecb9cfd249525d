"""What the interfaces ask of the server behind: whether it is ready, its models, and speech chunk by chunk."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from convai.arrays import Array
from convai.client import AsyncConvaiClient, ConvaiError
from convai.client.steps import recogniser_of

HEALTH_SECONDS = 2.0
STREAM = "text_to_speech_stream"


async def is_server_ready(client: AsyncConvaiClient, timeout_seconds: float = HEALTH_SECONDS) -> bool:
    """Whether the server answers, with all its models."""
    try:
        with client.connection.translate_errors():
            return await client.triton.is_server_ready(client_timeout=timeout_seconds)
    except ConvaiError:
        return False


async def read_recogniser_name(client: AsyncConvaiClient) -> str | None:
    """Return the recogniser's name for people, such as "Jasper"; None while the server does not answer."""
    try:
        return recogniser_of(await client.read_counters()).name.capitalize()
    except ConvaiError:
        return None


async def has_model(client: AsyncConvaiClient, name: str) -> bool:
    """Whether the server serves this model. Servers before 0.2.0 lack those that stream."""
    with client.connection.translate_errors():
        return await client.triton.is_model_ready(name, client_timeout=client.connection.timeout_seconds)


async def stream_speech(client: AsyncConvaiClient, text: str, *, speed: float = 1.0) -> AsyncGenerator[Array]:
    """Yield `text` as speech, float32 in [-1, 1], shape = (samples,), 22,050 Hz, while the rest is synthesised.

    A server without the streaming model synthesises whole, or refuses a long text.
    """
    if not await has_model(client, STREAM):
        audio = (await client.speak(text, speed=speed)).answer_audio
        assert audio is not None  # `speak` requests it
        yield audio
        return
    async with aclosing(client.speak_stream(text, speed=speed)) as chunks:
        async for chunk in chunks:
            yield chunk.answer_audio
