"""The pipeline as awaitable calls.

async with AsyncConvaiClient("127.0.0.1:8001") as client:
    answer = await client.ask(audio, sample_rate=16_000, context=text)
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Iterable, Mapping
from typing import Any

import grpc
import tritonclient.grpc.aio
from tritonclient.grpc import InferResult
from tritonclient.utils import InferenceServerException

from convai.arrays import Array
from convai.client.answer import Answer, AnswerChunk, ChunkOrder, Transcription
from convai.client.base import BaseClient
from convai.client.errors import Overloaded, ServerError, timeout_error
from convai.client.listen_events import Event
from convai.client.requests import STREAM_HEADERS, Request, transcribe_request
from convai.client.steps import (
    POLL_SECONDS,
    SETTLE_SECONDS,
    Counters,
    StepTime,
    calls_of,
    have_counted,
    read_statistics,
    times_between,
)


class AsyncConvaiClient(BaseClient[Coroutine[Any, Any, Answer], AsyncGenerator[AnswerChunk]]):
    """`ConvaiClient` for asyncio: same arguments, results and errors. Create it inside a running event loop."""

    def _connect(self) -> Any:
        return tritonclient.grpc.aio.InferenceServerClient(**self.connection.options())

    async def __aenter__(self) -> "AsyncConvaiClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.triton.close()

    async def transcribe(self, audio: Array, *, sample_rate: int) -> str:
        """Return the transcript in lower case. Audio as in `ask`."""
        return (await self.answer(transcribe_request(audio, sample_rate))).question or ""

    async def transcribe_words(self, audio: Array, *, sample_rate: int) -> Transcription:
        """`ConvaiClient.transcribe_words`, awaitable."""
        return Transcription.from_tensors(await self.infer(transcribe_request(audio, sample_rate, with_words=True)))

    def listen(
        self,
        chunks: AsyncIterable[Array],
        *,
        sample_rate: int,
        context: str | None = None,
        pause_seconds: float | None = 0.7,
        caption_seconds: float = 0.25,
        time_steps: bool = False,
        stream: bool = False,
        seed: int | None = None,
    ) -> AsyncGenerator[Event]:
        """Detect questions in a stream of audio and answer each from a text as soon as it ends.

        A question is sent after 0.2 s of silence and cancelled if more is said, so a server sees requests in vain.
        Needs the extra `listen`, whose package detects speech.

        Parameters
        ----------
        chunks : audio in chunks of any length: float32 or float64 in [-1, 1], or int16, mono
        sample_rate : Hertz, 8,000 to 48,000
        context : the text to answer from, up to 32 KiB; None to transcribe only
        pause_seconds : length of the silence that ends a question, 0.2 s to 5 s; None if only the end of `chunks` does
        caption_seconds : minimum time between two captions; 0 turns them off
        time_steps : whether to measure each step, which costs a few milliseconds per question
        stream : whether answers come in chunks, as from `ask_stream`; new speech then cancels the rest of an answer
        seed : as in `ask`

        Yields
        ------
        `SpeechStarted`, any number of `Caption`, `SpeechEnded`, then `Answered` (if streamed, any number of
        `Answering`; without context, `Transcribed`) or `Failed`, and `StepsTimed` if requested; `NothingAsked` if there
        is no speech until the end, or more than 30 s of speech without a pause. The next question may start before the
        last one is answered.

        Raises
        ------
        InvalidInput : for an invalid argument
        """
        from convai.client.listen import Listener  # imports soxr, which the bare package lacks

        listener = Listener(
            self,
            sample_rate=sample_rate,
            context=context,
            pause_seconds=pause_seconds,
            caption_seconds=caption_seconds,
            time_steps=time_steps,
            stream=stream,
            seed=seed,
        )
        return listener.listen(chunks)

    async def answer(self, request: Request) -> Answer:
        return Answer.from_tensors(await self.infer(request))

    async def chunks(self, request: Request) -> AsyncGenerator[AnswerChunk]:
        order = ChunkOrder()

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield request.arguments()

        responses = self.triton.stream_infer(requests(), headers=STREAM_HEADERS)
        try:
            while not order.is_complete:
                tensors = request.read(await self._next_of(responses))
                for chunk in order.take(AnswerChunk.from_tensors(tensors)):
                    yield chunk
        finally:
            responses.cancel()

    async def _next_of(self, responses: Any) -> InferResult:
        connection = self.connection
        with connection.translate_errors():
            try:
                async with asyncio.timeout(connection.timeout_seconds):
                    result, error = await anext(responses)
            except TimeoutError:
                raise timeout_error(connection.target, connection.timeout_seconds) from None
            except StopAsyncIteration:
                raise ServerError(f"the server at {connection.target} ended the stream before its last chunk") from None
            except grpc.RpcError as failure:  # only tritonclient's asynchronous streams raise gRPC's own errors
                raise InferenceServerException(failure.details(), str(failure.code())) from failure
            if error is not None:
                raise error
        return result

    async def infer(self, request: Request) -> dict[str, Array]:
        """Call any model of the server, also a single step."""
        arguments, attempts = request.arguments(), self.start_attempts()
        while True:
            try:
                with self.connection.translate_errors():
                    result = await self.triton.infer(**arguments, client_timeout=attempts.seconds_left)
            except Overloaded as error:
                await asyncio.sleep(attempts.choose_pause(error))
            else:
                attempts.succeed()
                return request.read(result)

    async def read_counters(self) -> dict[str, Counters]:
        """Read Triton's counters of each loaded model, by name."""
        with self.connection.translate_errors():
            timeout_seconds = self.connection.timeout_seconds
            return read_statistics(await self.triton.get_inference_statistics(client_timeout=timeout_seconds))

    async def times_since(self, before: Mapping[str, Counters], request: Request) -> tuple[StepTime, ...]:
        """Return the time of each step that `request` ran since `before`, once all are counted."""
        steps = tuple(call.step for call in calls_of(request, before))
        return times_between(before, await self._wait_for_counters(before, steps), steps)

    async def _wait_for_counters(self, before: Mapping[str, Counters], steps: Iterable[str]) -> dict[str, Counters]:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            after = await self.read_counters()
            if have_counted(before, after, steps) or time.monotonic() > deadline:
                return after
            await asyncio.sleep(POLL_SECONDS)
