"""A client of no server: answers at once, remembers what it was asked, and fails on demand."""

from types import SimpleNamespace

import numpy as np

from convai.client import Answer
from convai.client.connection import Connection
from convai.client.listen import listen

ANSWER = Answer(
    question="what is it",
    answer="a test",
    answer_score=0.5,
    answer_span=(0, 6),
    answer_audio=np.sin(np.arange(22_050) / 20).astype(np.float32) / 2,
    mel=np.zeros((80, 86), np.float32),
)


class FakeClient:
    """As `AsyncConvaiClient`; `error` is raised by every call, `started` is set by each and `gate` holds it up."""

    def __init__(self, error=None, is_ready=True):
        self.error = error
        self.gate = None
        self.asked = []  # (kind, what)
        self.connection = Connection()
        self.triton = SimpleNamespace(is_server_ready=self._is_ready, get_inference_statistics=self._statistics)
        self.is_ready = is_ready

    async def transcribe(self, audio, *, sample_rate):
        await self._called("transcribe", audio)
        return f"{len(audio) / sample_rate:.2f} s"

    async def ask(self, audio, *, sample_rate, context, outputs=None, seed=None):
        await self._called("ask", (audio, sample_rate, context, seed))
        return ANSWER

    async def speak(self, text, *, seed=None):
        await self._called("speak", text)
        return ANSWER

    async def answer(self, request):
        await self._called("answer", request)
        return ANSWER

    def listen(self, chunks, **options):
        return listen(self, chunks, **options)

    async def _called(self, kind, what):
        self.asked.append((kind, what))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def _is_ready(self, client_timeout=None):
        return self.is_ready

    async def _statistics(self, client_timeout=None):
        return SimpleNamespace(model_stats=[])
