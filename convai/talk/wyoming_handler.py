"""Answers the requests of one Wyoming connection: recordings, texts to speak, questions about a text."""

import asyncio
import logging
import time
from collections.abc import Generator
from contextlib import ExitStack, aclosing, contextmanager, suppress

import numpy as np
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.handle import Handled, NotHandled
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped

from convai.arrays import Array
from convai.client import AsyncConvaiClient, ConvaiError, InvalidInput, ServerError
from convai.description.limits import MAX_TEXT_CHARACTERS
from convai.description.pipeline import SAMPLE_RATE_HERTZ, VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from convai.talk.access import ConcurrencyLimit
from convai.talk.audio_formats import to_pcm
from convai.talk.context_file import ContextFile
from convai.talk.errors import public_message
from convai.talk.sentences import SentenceCutter, pause_after
from convai.talk.server import stream_speech
from convai.talk.wyoming_events import SILENT_SECONDS, EventStream
from convai.talk.wyoming_info import describe
from convai.talk.wyoming_recording import Recording

logger = logging.getLogger(__name__)
SPEECH_FORMAT = {"rate": VOICE_SAMPLE_RATE_HERTZ, "width": 2, "channels": 1}
SAMPLES_PER_EVENT = 4096
# What a client waits for after an event, and gets after an error too: many clients overlook the error itself.
ENDS: dict[str, tuple[Eventable, ...]] = {
    **dict.fromkeys(("transcribe", "audio-start", "audio-chunk", "audio-stop"), (Transcript(text=""),)),
    **dict.fromkeys(("synthesize-start", "synthesize-chunk", "synthesize-stop"), (AudioStop(), SynthesizeStopped())),
    "synthesize": (AudioStop(),),
    "transcript": (NotHandled(),),
}


class Service:
    """What all connections share. They take at most half of the slots, because anybody may connect, without a key."""

    def __init__(self, client: AsyncConvaiClient, limit: ConcurrencyLimit, context: ContextFile | None):
        self.client = client
        self.limit = limit
        self.own_limit = ConcurrencyLimit(max(1, limit.max_concurrent // 2))
        self.context = context

    @contextmanager
    def hold_slot(self) -> Generator[None]:
        with self.limit.hold(), self.own_limit.hold():
            yield

    def read_context(self) -> str:
        if self.context is None:
            raise InvalidInput("transcript: expected a text to answer from, got none; start the server with --context")
        try:
            return self.context.read()
        except InvalidArgument as error:
            raise ServerError(str(error)) from error


class Handler:
    """One connection, whose requests follow each other. An error ends it."""

    def __init__(self, service: Service, events: EventStream):
        self.service = service
        self.events = events
        self.slot = ExitStack()
        self._forget_request()

    def _forget_request(self) -> None:
        self.slot.close()
        self.has_slot = False
        self.ends: tuple[Eventable, ...] = ()
        self.recording: Recording | None = None
        self.sentences: SentenceCutter | None = None  # of a text that comes in parts
        self.has_audio = False
        self.text_time = 0.0  # when its last part was done
        self.pause_seconds = 0.0  # before the next part of the text
        self.refusal: InvalidInput | None = None  # of a part

    async def run(self) -> None:
        try:
            with self.slot:  # is counted by the error that ends it
                while (event := await self.events.read()) is not None:
                    await self._handle(event)
                if self.has_slot:
                    raise ConnectionAbortedError("the client has left in the middle of a request")
        except ConvaiError as error:
            await self._fail(error)
        except OSError:
            pass  # the client has gone
        except asyncio.CancelledError:
            self.events.abort()
            raise
        except Exception as error:
            logger.exception("a Wyoming request failed")
            await self._fail(error)
        finally:
            await self.events.close()

    async def _fail(self, error: Exception) -> None:
        code = type(error).__name__ if isinstance(error, ConvaiError) else ServerError.__name__
        with suppress(OSError):
            await self._send(Error(text=public_message(error), code=code), *self.ends)

    async def _send(self, *events: Eventable) -> None:
        for event in events:
            await self.events.write(event.event())

    async def _handle(self, event: Event) -> None:
        """Obey an event."""
        if event.type == "synthesize" and self.sentences is not None:
            return  # repeats the text of the stream, for servers that take none
        if event.type in ("transcribe", "audio-start", "synthesize", "synthesize-start", "transcript"):
            self._forget_request()
        self.ends = ENDS.get(event.type, self.ends)
        self._check_time()
        match event.type:
            case "describe":
                await self._send(await describe(self.service.client, can_answer=self.service.context is not None))
            case "ping":
                await self._send(Pong(text=None if event.data.get("text") is None else read_text(event)))
            case "audio-chunk":
                self._take_slot()
                self.recording = self.recording or Recording()
                self.recording.add(event)
            case "audio-stop":
                await self._transcribe()
            case "synthesize":
                self._take_slot()
                await self._speak(read_text(event))
                await self._finish(*self.ends)
            case "synthesize-start":
                self.sentences = SentenceCutter()
            case "synthesize-chunk":
                await self._speak_part(self._get_sentences(event).add(read_text(event)))
                self.text_time = time.monotonic()
            case "synthesize-stop":
                await self._speak_part(self._get_sentences(event).rest)
                if not self.has_audio:
                    raise self.refusal or InvalidInput("synthesize-stop: expected a word before it, got none")
                await self._finish(*self.ends)
            case "transcript":
                self._take_slot()
                await self._answer(read_text(event))
            case _:
                pass  # the protocol asks to ignore unknown events

    def _take_slot(self) -> None:
        if not self.has_slot:
            self.slot.enter_context(self.service.hold_slot())
            self.has_slot = True

    def _check_time(self) -> None:
        """Refuse a request that holds a slot while only other events come, such as pings."""
        if self.recording is not None:
            self.recording.check_time()
        if self.sentences is not None and self.has_slot and time.monotonic() > self.text_time + SILENT_SECONDS:
            raise InvalidInput(f"synthesize-chunk: expected the next one within {SILENT_SECONDS:g} s, got none")

    async def _finish(self, *events: Eventable) -> None:
        self._forget_request()
        await self._send(*events)

    async def _transcribe(self) -> None:
        audio = (self.recording or Recording()).read()
        text = await self.service.client.transcribe(audio, sample_rate=SAMPLE_RATE_HERTZ)
        await self._finish(Transcript(text=text, language="en"))

    def _get_sentences(self, event: Event) -> SentenceCutter:
        if self.sentences is None:
            raise InvalidInput(f"{event.type}: expected synthesize-start before it, got none")
        return self.sentences

    async def _speak_part(self, text: str) -> None:
        if not text.strip():
            return
        self._take_slot()
        try:
            await self._speak(text)
            self.pause_seconds = pause_after(text)
        except InvalidInput as error:  # such as a smiley alone; an error only if it is the whole text
            self.refusal = error

    async def _speak(self, text: str) -> None:
        async with aclosing(stream_speech(self.service.client, text)) as pieces:
            async for piece in pieces:
                if not self.has_audio:
                    await self._send(AudioStart(**SPEECH_FORMAT))
                    self.has_audio = True
                silence = np.zeros(round(self.pause_seconds * VOICE_SAMPLE_RATE_HERTZ), np.float32)
                await self._send_samples(np.concatenate([silence, piece]))
                self.pause_seconds = 0.0

    async def _send_samples(self, samples: Array) -> None:
        for start in range(0, len(samples), SAMPLES_PER_EVENT):
            audio = to_pcm(samples[start : start + SAMPLES_PER_EVENT])
            await self._send(AudioChunk(audio=audio, **SPEECH_FORMAT))

    async def _answer(self, question: str) -> None:
        reply = await self.service.client.answer_text(question, self.service.read_context())
        await self._finish(Handled(text=reply.answer) if reply.answer else NotHandled(text=reply.sentence))


def read_text(event: Event) -> str:
    text = event.data.get("text")
    if not isinstance(text, str):
        raise InvalidInput(f"{event.type}: text: expected text, got {type(text).__name__}")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InvalidInput(
            f"{event.type}: text: expected at most {MAX_TEXT_CHARACTERS:,} characters, got {len(text):,}"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{event.type}: text: expected Unicode, got half of a surrogate pair") from error
    return text
