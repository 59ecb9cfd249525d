"""Speech to text and text to speech for Home Assistant, over the Wyoming protocol."""

import asyncio
from collections.abc import Coroutine
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
from convai.client import AsyncConvaiClient
from convai.client.errors import ConvaiError, InvalidInput, Overloaded
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.talk.gate import Places
from convai.talk.sounds import check_format, samples_of
from convai.talk.speech import speech

MAX_EVENT_BYTES = 1024 * 1024
SAMPLE_BYTES = 2
SPOKEN_SAMPLES_PER_EVENT = 4096
NAMED: dict[str, Any] = {
    "name": "convai",
    "attribution": Attribution(name="convai", url=""),
    "installed": True,
    "version": None,
}
INFO = Info(
    asr=[
        AsrProgram(
            description="Jasper",
            models=[AsrModel(description="English, lower case", languages=["en"], **NAMED)],
            **NAMED,
        )
    ],
    tts=[
        TtsProgram(
            description="Tacotron 2 and WaveGlow",
            voices=[TtsVoice(description="English", languages=["en"], **NAMED)],
            **NAMED,
        )
    ],
)


async def start_wyoming(host: str, port: int, client: AsyncConvaiClient, places: Places) -> AsyncServer:
    """Listen on `host`:`port` until the returned server is stopped."""
    server = AsyncServer.from_uri(f"tcp://{host}:{port}")
    await server.start(lambda reader, writer: Handler(client, places, BoundedReader(reader), writer))
    return server


class BoundedReader:
    """A stream that refuses events longer than audio ever needs; the package then ends the connection."""

    def __init__(self, reader: asyncio.StreamReader):
        self.readline = reader.readline
        self.feed_eof = reader.feed_eof
        self._readexactly = reader.readexactly

    async def readexactly(self, size: int) -> bytes:
        if size > MAX_EVENT_BYTES:
            raise ValueError(f"an event of {size} bytes; allowed are {MAX_EVENT_BYTES}")
        return await self._readexactly(size)


class Handler(AsyncEventHandler):
    """One connection. What goes wrong is told as an `error` event, and the connection goes on."""

    def __init__(self, client: AsyncConvaiClient, places: Places, reader: BoundedReader, writer: asyncio.StreamWriter):
        super().__init__(cast(asyncio.StreamReader, reader), writer)  # as much of one as the package reads
        self.client = client
        self.places = places
        self.recording: Recording | None = Recording()  # None once it was refused, until the next begins

    async def handle_event(self, event: Event) -> bool:
        try:
            await self._handle(event)
        except ConvaiError as error:
            self.recording = None
            await self.write_event(Error(text=str(error), code=type(error).__name__).event())
        except (KeyError, TypeError, ValueError) as error:
            what = f"a {event.type} event that is not as Wyoming has it: {error!r}"
            await self.write_event(Error(text=what, code="InvalidInput").event())
        return True

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event(INFO.event())
        elif Ping.is_type(event.type):
            await self.write_event(Pong(text=Ping.from_event(event).text).event())
        elif Transcribe.is_type(event.type) or AudioStart.is_type(event.type):
            self.recording = Recording()
        elif AudioChunk.is_type(event.type) and self.recording is not None:
            self.recording.add(AudioChunk.from_event(event))
        elif AudioStop.is_type(event.type) and self.recording is not None:
            await self._in_a_place(self._transcribe())
        elif Synthesize.is_type(event.type):
            await self._in_a_place(self._speak(Synthesize.from_event(event).text))

    async def _in_a_place(self, work: Coroutine[None, None, None]) -> None:
        with self.places.take() as is_free:
            if not is_free:
                work.close()
                raise Overloaded(self.places.refusal)
            await work

    async def _transcribe(self) -> None:
        assert self.recording is not None
        audio, sample_rate = self.recording.samples()
        text = await self.client.transcribe(audio, sample_rate=sample_rate)
        self.recording = Recording()
        await self.write_event(Transcript(text=text, language="en").event())

    async def _speak(self, text: str) -> None:
        audio_format = {"rate": VOICE_SAMPLE_RATE_HERTZ, "width": SAMPLE_BYTES, "channels": 1}
        has_begun = False
        async with aclosing(speech(self.client, text)) as pieces:
            async for piece in pieces:
                if not has_begun:
                    await self.write_event(AudioStart(**audio_format).event())
                    has_begun = True
                for start in range(0, len(piece), SPOKEN_SAMPLES_PER_EVENT):
                    part = samples_of(piece[start : start + SPOKEN_SAMPLES_PER_EVENT])
                    await self.write_event(AudioChunk(audio=part, **audio_format).event())
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
                f"a chunk of {chunk.rate} Hz, {8 * chunk.width} bit, {chunk.channels} channels; "
                "allowed is 16 bit, and one rate and number of channels in a recording"
            )
        check_format(chunk.rate, chunk.channels, "the recording")
        self.seconds += len(chunk.audio) / (SAMPLE_BYTES * chunk.channels * chunk.rate)
        if self.seconds > MAX_QUESTION_SECONDS:
            raise InvalidInput(f"the recording is longer than {MAX_QUESTION_SECONDS:g} s, which is what is allowed")
        self.chunks.append(chunk.audio)

    def samples(self) -> tuple[Array, int]:
        """Channels averaged: float32, shape = (samples,), and the rate in Hertz."""
        if self.format is None:
            raise InvalidInput("no audio was sent before audio-stop")
        rate, channels = self.format
        data = b"".join(self.chunks)
        frames = np.frombuffer(data, "<i2", len(data) // (SAMPLE_BYTES * channels) * channels).reshape(-1, channels)
        return frames.mean(axis=1, dtype=np.float32) / np.float32(32768), rate
