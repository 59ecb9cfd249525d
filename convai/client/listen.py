"""Detects questions in a stream of audio, captions them, and asks each one as soon as it ends.

async with AsyncConvaiClient("127.0.0.1:8001") as client:
    async for event in client.listen(microphone_chunks, sample_rate=48_000, context=text):
        if isinstance(event, Answered):
            play(event.answer.answer_audio)
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Any, Protocol

import numpy as np
import soxr

from convai.arrays import Array
from convai.client.answer import Answer, AnswerChunk
from convai.client.captions import Captions
from convai.client.errors import ConvaiError, InvalidInput
from convai.client.listen_events import (
    Answered,
    Answering,
    Event,
    Failed,
    SpeechEnded,
    SpeechStarted,
    StepsTimed,
    Transcribed,
)
from convai.client.requests import Request, ask_request, check_integer, to_pcm, transcribe_request
from convai.client.steps import Counters, StepTime
from convai.client.turns import WINDOW_SAMPLES, SileroDetector, Turn, Turns
from convai.description.limits import MAX_SAMPLE_RATE_HERTZ, MIN_SAMPLE_RATE_HERTZ
from convai.description.pipeline import SAMPLE_RATE_HERTZ

SAMPLE_RATES = range(MIN_SAMPLE_RATE_HERTZ, MAX_SAMPLE_RATE_HERTZ + 1)
PAUSES_SECONDS = (0.2, 5.0)
MAX_WAITING_EVENTS = 64  # beyond these, a slow caller makes the stream wait
# Of all listeners: the detector holds Python's lock, so more threads would not be faster, and delay all others.
DETECTING = ThreadPoolExecutor(1, "convai-speech-detection")


class Client(Protocol):
    """The methods of `AsyncConvaiClient` that a `Listener` calls."""

    def answer(self, request: Request) -> Coroutine[Any, Any, Answer]: ...
    def chunks(self, request: Request) -> AsyncGenerator[AnswerChunk]: ...
    async def read_counters(self) -> dict[str, Counters]: ...
    async def times_since(self, before: Mapping[str, Counters], request: Request) -> tuple[StepTime, ...]: ...


class Question:
    """The recording of a question, which may be asked before the question has surely ended.

    Attributes
    ----------
    has_ended : until then, the events of the answer are held back
    """

    task: asyncio.Task[None]  # asks it

    def __init__(self, audio: Array):
        self.audio = audio
        self.num_windows = len(audio) // WINDOW_SAMPLES
        self.has_ended = asyncio.Event()


class Listener:
    """One stream of audio with its questions, captions and answers. Arguments as in `AsyncConvaiClient.listen`."""

    def __init__(
        self,
        client: Client,
        *,
        sample_rate: int,
        context: str | None,
        pause_seconds: float | None,
        caption_seconds: float,
        time_steps: bool,
        stream: bool,
        seed: int | None,
    ):
        self.client = client
        self.context = context
        self.time_steps = time_steps
        self.stream = stream and context is not None
        self.seed = seed
        check_pause(pause_seconds)
        self._request(np.zeros(0, np.float32))  # raises InvalidInput now if context or seed is invalid
        rate = check_integer("sample_rate", sample_rate, SAMPLE_RATES)
        self.resampler = soxr.ResampleStream(rate, SAMPLE_RATE_HERTZ, 1, dtype="float32")
        self.turns = Turns(SileroDetector(), pause_seconds)
        self.events: asyncio.Queue[Event | None] = asyncio.Queue(MAX_WAITING_EVENTS)  # None is the last
        self.captions = Captions(self._transcribe, self.events.put, caption_seconds)
        self.questions: list[asyncio.Task[None]] = []  # each waits for the one before
        self.early: Question | None = None  # asked while more may be said
        self.may_ask_early = True
        self.streaming: asyncio.Task[None] | None = None  # the answer of which at least one chunk was put

    async def listen(self, chunks: AsyncIterable[Array]) -> AsyncGenerator[Event]:
        reading = asyncio.create_task(self._read(chunks))
        try:
            while (event := await self.events.get()) is not None:
                yield event
            await reading  # raises an error of the caller's chunks
        finally:
            early = None if self.early is None else self.early.task
            await cancel_tasks(reading, self.captions.task, early, *self.questions)

    async def _read(self, chunks: AsyncIterable[Array]) -> None:
        try:
            async for chunk in chunks:
                await self._take(to_pcm(chunk))
            await self._take(np.zeros(0, np.float32), is_last=True)
            await asyncio.gather(*self.questions)
        except Exception:
            await self.events.put(None)
            raise
        await self.events.put(None)

    async def _take(self, audio: Array, is_last: bool = False) -> None:
        loop = asyncio.get_running_loop()
        for turn in await loop.run_in_executor(DETECTING, self._detect, audio, is_last):
            await self._put_turn(turn)
        self._update_early()
        self.captions.update(self.turns)

    def _detect(self, audio: Array, is_last: bool) -> list[Turn]:
        # Resampling a clipped recording overshoots [-1, 1], which the server rejects.
        resampled = np.clip(self.resampler.resample_chunk(audio, last=is_last), -1, 1)
        return [*self.turns.take(resampled), *(self.turns.end() if is_last else ())]

    async def _put_turn(self, turn: Turn) -> None:
        if isinstance(turn, SpeechStarted):
            if self.streaming is not None:
                self.streaming.cancel()
        else:
            self.captions.stop()
        await self.events.put(turn)
        if isinstance(turn, SpeechEnded):
            self.questions = [task for task in self.questions if not task.done()]
            question = self._take_early(turn.question_audio) or self._start_asking(turn.question_audio)
            question.has_ended.set()
            self.questions.append(question.task)

    def _update_early(self) -> None:
        """Ask once the recording is complete unless more is said; cancel the request when more is said."""
        turns, early = self.turns, self.early
        if early is not None and (not turns.is_speaking or turns.question_end != early.num_windows):
            early.task.cancel()
        if early is not None and early.task.cancelled():
            self.early = None
        if self.early is None and self.may_ask_early and turns.has_tail:
            self.early = self._start_asking(turns.recording(end=turns.question_end))

    def _take_early(self, question_audio: Array) -> Question | None:
        """Return the early question if it is the one that has ended."""
        early = self.early
        if early is None or early.task.cancelling() or not np.array_equal(early.audio, question_audio):
            return None
        self.early = None
        return early

    def _start_asking(self, question_audio: Array) -> Question:
        question = Question(question_audio)
        question.task = asyncio.create_task(self._ask(question, self.questions[-1:]))
        return question

    async def _ask(self, question: Question, earlier: list[asyncio.Task[None]]) -> None:
        """Ask once the question before has its answer. An early request that fails is repeated when it has ended."""
        if earlier:
            await asyncio.wait(earlier)  # unlike gather, cancels them not with this task
        while True:
            try:
                await self._put_events(question)
                self.may_ask_early = True
                return
            except ConvaiError as error:
                failure = error
            self.may_ask_early = False  # an overloaded server gets no more requests than questions
            if question.has_ended.is_set():
                return await self.events.put(Failed(failure))
            await question.has_ended.wait()

    async def _put_events(self, question: Question) -> None:
        request = self._request(question.audio)
        before = await self.client.read_counters() if self.time_steps else {}
        is_whole = await (self._put_chunks if self.stream else self._put_answer)(question, request)
        if self.time_steps and is_whole:
            with suppress(ConvaiError):  # the answer is there; its times may be missing
                await self.events.put(StepsTimed(await self.client.times_since(before, request)))

    async def _put_answer(self, question: Question, request: Request) -> bool:
        answer = await self.client.answer(request)
        await question.has_ended.wait()
        await self.events.put(Transcribed(answer.question or "") if self.context is None else Answered(answer))
        return True

    async def _put_chunks(self, question: Question, request: Request) -> bool:
        """Return whether all chunks were put; new speech cancels the rest.

        The chunks have a task of their own, because cancelling this one would cancel the questions that wait for it.
        """
        streaming = asyncio.create_task(self._stream(question, request))
        try:
            await asyncio.wait([streaming])
        finally:
            self.streaming = None
            await cancel_tasks(streaming)
        if streaming.cancelled():
            return False
        streaming.result()  # raises an error of the stream
        return True

    async def _stream(self, question: Question, request: Request) -> None:
        async with aclosing(self.client.chunks(request)) as chunks:
            async for chunk in chunks:
                await question.has_ended.wait()
                await self.events.put(Answering(chunk))
                self.streaming = asyncio.current_task()

    def _request(self, question_audio: Array) -> Request:
        if self.context is None:
            return transcribe_request(question_audio, SAMPLE_RATE_HERTZ)
        return ask_request(question_audio, SAMPLE_RATE_HERTZ, self.context, seed=self.seed, stream=self.stream)

    async def _transcribe(self, recording: Array) -> str:
        """Transcribe with the context, as in the question itself, but run no further steps."""
        request = self._request(recording)
        if self.context is not None:
            request = ask_request(recording, SAMPLE_RATE_HERTZ, self.context, outputs=["question"])
        return (await self.client.answer(request)).question or ""


def check_pause(pause_seconds: float | None) -> None:
    low, high = PAUSES_SECONDS
    if pause_seconds is not None and not low <= pause_seconds <= high:
        raise InvalidInput(
            f"pause_seconds: expected {low} to {high} s, or None to end with the audio, got {pause_seconds}"
        )


async def cancel_tasks(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel the tasks that still run, and wait until all have ended."""
    for task in tasks:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
