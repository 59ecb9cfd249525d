"""Speech to text and text to speech for Home Assistant, over the Wyoming protocol."""

import asyncio
from contextlib import aclosing
from typing import Any, cast

import numpy as np
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.ping import Ping, Pong
from wyoming.server import AsyncEventHandler, AsyncServer
from wyoming.tts import Synthesize

from convai.arrays import Array
from convai.client import AsyncConvaiClient, ConvaiError, InvalidInput
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.talk.access import ConcurrencyLimit
from convai.talk.audio_formats import check_format, to_pcm
from convai.talk.recogniser import read_recogniser_name
from convai.talk.speech import stream_speech

MAX_EVENT_BYTES = 1024 * 1024
SAMPLE_BYTES = 2
SAMPLES_PER_EVENT = 4096
SPEECH_FORMAT = {"rate": VOICE_SAMPLE_RATE_HERTZ, "width": SAMPLE_BYTES, "channels": 1}
IDENTITY: dict[str, Any] = {
    "name": "convai",
    "attribution": Attribution(name="convai", url=""),
    "installed": True,
    "version": None,
}


async def start_wyoming(host: str, port: int, client: AsyncConvaiClient, limit: ConcurrencyLimit) -> AsyncServer:
    """Listen on `host`:`port` until the returned server is stopped."""
    server = AsyncServer.from_uri(f"tcp://{host}:{port}")
    await server.start(lambda reader, writer: Handler(client, limit, BoundedReader(reader), writer))
    return server


async def describe(client: AsyncConvaiClient) -> Info:
    """Describe recogniser and voice, as Home Assistant shows them."""
    recogniser = AsrModel(description="English, lower case", languages=["en"], **IDENTITY)
    voice = TtsVoice(description="English", languages=["en"], **IDENTITY)
    return Info(
        asr=[AsrProgram(description=await read_recogniser_name(client) or "unknown", models=[recogniser], **IDENTITY)],
        tts=[TtsProgram(description="Tacotron 2 and WaveGlow", voices=[voice], **IDENTITY)],
    )


class BoundedReader:
    """A stream that refuses events longer than audio needs; the package then closes the connection."""

    def __init__(self, reader: asyncio.StreamReader):
        self.readline = reader.readline
        self.feed_eof = reader.feed_eof
        self._readexactly = reader.readexactly

    async def readexactly(self, size: int) -> bytes:
        if size > MAX_EVENT_BYTES:
            raise InvalidInput(f"event: expected at most {MAX_EVENT_BYTES} bytes, got {size}")
        return await self._readexactly(size)


class Handler(AsyncEventHandler):
    """One connection. It reports a failure as an `error` event, and stays open."""

    def __init__(
        self, client: AsyncConvaiClient, limit: ConcurrencyLimit, reader: BoundedReader, writer: asyncio.StreamWriter
    ):
        super().__init__(cast(asyncio.StreamReader, reader), writer)  # it has the methods that the package calls
        self.client = client
        self.limit = limit
        self.recording: Recording | None = Recording()  # None from its refusal to the start of the next

    async def handle_event(self, event: Event) -> bool:
        try:
            await self._handle(event)
        except ConvaiError as error:
            self.recording = None
            await self.write_event(Error(text=str(error), code=type(error).__name__).event())
        except (KeyError, TypeError, ValueError) as error:
            message = f"{event.type}: expected an event of the Wyoming protocol, got {error!r}"
            await self.write_event(Error(text=message, code="InvalidInput").event())
        return True

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event((await describe(self.client)).event())
        elif Ping.is_type(event.type):
            await self.write_event(Pong(text=Ping.from_event(event).text).event())
        elif Transcribe.is_type(event.type) or AudioStart.is_type(event.type):
            self.recording = Recording()
        elif AudioChunk.is_type(event.type) and self.recording is not None:
            self.recording.add(AudioChunk.from_event(event))
        elif AudioStop.is_type(event.type) and self.recording is not None:
            with self.limit.hold():
                await self._transcribe(self.recording)
        elif Synthesize.is_type(event.type):
            with self.limit.hold():
                await self._speak(Synthesize.from_event(event).text)

    async def _transcribe(self, recording: "Recording") -> None:
        audio, sample_rate = recording.read()
        text = await self.client.transcribe(audio, sample_rate=sample_rate)
        self.recording = Recording()
        await self.write_event(Transcript(text=text, language="en").event())

    async def _speak(self, text: str) -> None:
        has_begun = False
        async with aclosing(stream_speech(self.client, text)) as pieces:
            async for piece in pieces:
                if not has_begun:
                    await self.write_event(AudioStart(**SPEECH_FORMAT).event())
                    has_begun = True
                for start in range(0, len(piece), SAMPLES_PER_EVENT):
                    samples = to_pcm(piece[start : start + SAMPLES_PER_EVENT])
                    await self.write_event(AudioChunk(audio=samples, **SPEECH_FORMAT).event())
        await self.write_event(AudioStop().event())


class Recording:
    """The chunks of a question, all of one format."""

    def __init__(self):
        self.chunks: list[bytes] = []
        self.seconds = 0.0
        self.format: tuple[int, int] | None = None

    def add(self, chunk: AudioChunk) -> None:
        self.format = self.format or (chunk.rate, chunk.channels)
        if (chunk.rate, chunk.channels) != self.format or chunk.width != SAMPLE_BYTES:
            raise InvalidInput(
                "chunk: expected 16 bit, and the rate and channels of the chunk before, "
                f"got {chunk.rate} Hz, {8 * chunk.width} bit, {chunk.channels} channels"
            )
        check_format(chunk.rate, chunk.channels, "recording")
        self.seconds += len(chunk.audio) / (SAMPLE_BYTES * chunk.channels * chunk.rate)
        if self.seconds > MAX_QUESTION_SECONDS:
            raise InvalidInput(f"recording: expected at most {MAX_QUESTION_SECONDS:g} s, got more")
        self.chunks.append(chunk.audio)

    def read(self) -> tuple[Array, int]:
        """Return the channels' mean, float32, shape = (samples,), and the rate in Hertz."""
        if self.format is None:
            raise InvalidInput("recording: expected audio before audio-stop, got none")
        rate, channels = self.format
        data = b"".join(self.chunks)
        frames = np.frombuffer(data, "<i2", len(data) // (SAMPLE_BYTES * channels) * channels).reshape(-1, channels)
        return frames.mean(axis=1, dtype=np.float32) / np.float32(32768), rate
