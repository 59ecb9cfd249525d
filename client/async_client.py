"""The pipeline as awaitable calls.

async with AsyncConvaiClient("127.0.0.1:8001") as client:
    answer = await client.ask(audio, sample_rate=16_000, context=text)
"""

from collections.abc import Iterable, Sequence

import numpy as np
import tritonclient.grpc.aio

from convai.client.answer import Answer
from convai.client.connection import DEFAULT_ADDRESS, Connection, Tls
from convai.client.requests import Request, answer_text_request, ask_request, speak_request, transcribe_request


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
        self.triton = tritonclient.grpc.aio.InferenceServerClient(**self.connection.options())

    async def __aenter__(self) -> "AsyncConvaiClient":
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        await self.triton.close()

    async def ask(
        self,
        audio: np.ndarray,
        *,
        sample_rate: int,
        context: str,
        outputs: Iterable[str] | None = None,
        seed: int | None = None,
    ) -> Answer:
        """Answer a spoken question from a text; see `ConvaiClient.ask`."""
        return await self.answer(ask_request(audio, sample_rate, context, outputs, seed))

    async def transcribe(self, audio: np.ndarray, *, sample_rate: int) -> str:
        """What was said, in lower case."""
        return (await self.answer(transcribe_request(audio, sample_rate))).question

    async def answer_text(self, question: str, context: str) -> Answer:
        """Answer a written question: `answer`, `answer_score`, `answer_span`."""
        return await self.answer(answer_text_request(question, context))

    async def speak(self, text: str, *, seed: int | None = None) -> Answer:
        """Read a text aloud: `answer_audio`, `mel`."""
        return await self.answer(speak_request(text, seed))

    async def answer(self, request: Request) -> Answer:
        return Answer.from_tensors(await self.infer(request))

    async def infer(self, request: Request) -> dict[str, np.ndarray]:
        """Call any model of the server; a single step too."""
        with self.connection.explained():
            result = await self.triton.infer(**request.arguments(), client_timeout=self.connection.timeout_seconds)
        return request.read(result)
