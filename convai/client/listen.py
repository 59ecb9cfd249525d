"""Hears questions in a stream of audio and asks each as soon as it ends, with captions while one speaks.

async with AsyncConvaiClient("127.0.0.1:8001") as client:
    async for event in client.listen(microphone_chunks, sample_rate=48_000, context=text):
        if isinstance(event, Answered):
            play(event.answer.answer_audio)
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from convai.arrays import Array
from convai.client.captions import Captions
from convai.client.errors import ConvaiError, InvalidInput
from convai.client.listen_events import (
    Answered,
    Answering,
    Event,
    Failed,
    NothingAsked,
    SpeechEnded,
    SpeechStarted,
    StepsTimed,
)
from convai.client.requests import Request, ask_request, ask_stream_request, pcm, whole_number
from convai.client.speech_detector import SileroDetector
from convai.client.step_by_step import needed_calls
from convai.client.step_times import POLL_SECONDS, SETTLE_SECONDS, Counters, have_counted, read_counters, times_between
from convai.client.turns import Turns
from convai.description.limits import MAX_SAMPLE_RATE_HERTZ, MIN_SAMPLE_RATE_HERTZ
from convai.description.pipeline import SAMPLE_RATE_HERTZ

if TYPE_CHECKING:
    from convai.client.async_client import AsyncConvaiClient

SAMPLE_RATES = range(MIN_SAMPLE_RATE_HERTZ, MAX_SAMPLE_RATE_HERTZ + 1)
PAUSES_SECONDS = (0.2, 5.0)
MAX_WAITING_EVENTS = 64  # a caller who takes none makes the stream wait


async def listen(
    client: "AsyncConvaiClient",
    chunks: AsyncIterable[Array],
    *,
    sample_rate: int,
    context: str,
    pause_seconds: float | None = 0.7,
    caption_seconds: float = 0.25,
    time_steps: bool = False,
    stream: bool = False,
    seed: int | None = None,
) -> AsyncGenerator[Event]:
    """See `AsyncConvaiClient.listen`."""
    listener = Listener(client, sample_rate, context, pause_seconds, caption_seconds, time_steps, stream, seed)
    hearing = asyncio.create_task(listener.hear(chunks))
    try:
        while (event := await listener.events.get()) is not None:
            yield event
        await hearing  # raises what the caller's chunks have raised
    finally:
        await cancelled(hearing, listener.captions.hearing, *listener.asking)


class Listener:
    """One stream of audio: its questions, captions and answers, put into `events`; None is the last."""

    def __init__(
        self,
        client: "AsyncConvaiClient",
        sample_rate: int,
        context: str,
        pause_seconds: float | None,
        caption_seconds: float,
        time_steps: bool,
        stream: bool,
        seed: int | None,
    ):
        self.client = client
        self.context = context
        self.time_steps = time_steps
        self.stream = stream
        self.seed = seed
        check_pause(pause_seconds)
        self._request(np.zeros(0, np.float32))  # raises now what is wrong with context and seed
        rate = whole_number("sample_rate", sample_rate, SAMPLE_RATES)
        self.resampler = soxr.ResampleStream(rate, SAMPLE_RATE_HERTZ, 1, dtype="float32")
        self.turns = Turns(SileroDetector(), pause_seconds)
        self.events: asyncio.Queue[Event | None] = asyncio.Queue(MAX_WAITING_EVENTS)
        self.captions = Captions(self._transcribe, self.events.put, caption_seconds)
        self.asking: list[asyncio.Task[None]] = []  # one after the other
        self.speaking: asyncio.Task[None] | None = None  # tells an answer whose first chunk was told

    async def hear(self, chunks: AsyncIterable[Array]) -> None:
        try:
            async for chunk in chunks:
                await self._take(pcm(chunk))
            await self._take(np.zeros(0, np.float32), is_last=True)
            await asyncio.gather(*self.asking)
        except Exception:
            await self.events.put(None)
            raise
        await self.events.put(None)

    async def _take(self, audio: Array, is_last: bool = False) -> None:
        # Resampling overshoots where the recording is clipped, and the server refuses that.
        heard = np.clip(self.resampler.resample_chunk(audio, last=is_last), -1, 1)
        for turn in self.turns.hear(heard):
            await self._tell(turn)
        if is_last:
            for turn in self.turns.end():
                await self._tell(turn)
        self.captions.update(self.turns)

    async def _tell(self, turn: Event) -> None:
        if isinstance(turn, SpeechStarted) and self.speaking is not None:
            self.speaking.cancel()
        if isinstance(turn, SpeechEnded | NothingAsked):
            self.captions.stop()
        if isinstance(turn, SpeechEnded):
            self.asking = [task for task in self.asking if not task.done()]
            self.asking.append(asyncio.create_task(self._ask(turn.question_audio, *self.asking[-1:])))
        await self.events.put(turn)

    async def _ask(self, question_audio: Array, *earlier: asyncio.Task[None]) -> None:
        """Ask once the question before has its answer."""
        await asyncio.gather(*earlier)
        try:
            await self._answer(self._request(question_audio))
        except ConvaiError as error:
            await self.events.put(Failed(error))

    async def _answer(self, request: Request) -> None:
        before = await self._counters() if self.time_steps else {}
        is_whole = await (self._tell_chunks(request) if self.stream else self._tell_answer(request))
        if self.time_steps and is_whole:
            steps = [call.step for call in needed_calls(request.model, request.outputs)]
            after = await self._settled_counters(before, steps)
            await self.events.put(StepsTimed(times_between(before, after, steps)))

    async def _tell_answer(self, request: Request) -> bool:
        await self.events.put(Answered(await self.client.answer(request)))
        return True

    async def _tell_chunks(self, request: Request) -> bool:
        """Whether nobody spoke over them. A task of its own, for what waits for this one shall not be cancelled too."""
        telling = asyncio.create_task(self._chunks(request))
        try:
            await asyncio.wait([telling])
        finally:
            self.speaking = None
            await cancelled(telling)
        if telling.cancelled():
            return False
        telling.result()  # raises what it has raised
        return True

    async def _chunks(self, request: Request) -> None:
        async with aclosing(self.client.chunks(request)) as chunks:
            async for chunk in chunks:
                await self.events.put(Answering(chunk))
                self.speaking = asyncio.current_task()

    def _request(self, question_audio: Array) -> Request:
        if self.stream:
            return ask_stream_request(question_audio, SAMPLE_RATE_HERTZ, self.context, self.seed)
        return ask_request(question_audio, SAMPLE_RATE_HERTZ, self.context, seed=self.seed)

    async def _transcribe(self, recording: Array) -> str:
        """What the pipeline hears, and so with the context in mind as in the question itself; it goes no further."""
        request = ask_request(recording, SAMPLE_RATE_HERTZ, self.context, outputs=["question"])
        question = (await self.client.answer(request)).question
        assert question is not None  # it was requested
        return question

    async def _counters(self) -> dict[str, Counters]:
        with self.client.connection.explained():
            timeout_seconds = self.client.connection.timeout_seconds
            return read_counters(await self.client.triton.get_inference_statistics(client_timeout=timeout_seconds))

    async def _settled_counters(self, before: dict[str, Counters], steps: list[str]) -> dict[str, Counters]:
        for _ in range(round(SETTLE_SECONDS / POLL_SECONDS)):
            after = await self._counters()
            if have_counted(before, after, steps):
                return after
            await asyncio.sleep(POLL_SECONDS)
        return await self._counters()


def check_pause(pause_seconds: float | None) -> None:
    low, high = PAUSES_SECONDS
    if pause_seconds is not None and not low <= pause_seconds <= high:
        raise InvalidInput(
            f"pause_seconds is {pause_seconds}; allowed is {low} to {high} s, or None to end with the audio"
        )


async def cancelled(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel what still runs, and wait until it has ended."""
    for task in tasks:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
