"""A client of no server: answers at once, remembers what it was asked, and fails on demand."""

from types import SimpleNamespace

import numpy as np

from convai.client import Answer, AnswerChunk
from convai.client.connection import Connection
from convai.client.listen import listen

STREAMS = ("convai_ensemble_stream", "text_to_speech_stream")
ANSWER = Answer(
    question="what is it",
    answer="a test",
    answer_score=0.5,
    answer_span=(0, 6),
    answer_audio=np.sin(np.arange(22_050) / 20).astype(np.float32) / 2,
    mel=np.zeros((80, 86), np.float32),
)
FOUND = {name: getattr(ANSWER, name) for name in ("question", "answer", "answer_score", "answer_span")}
CHUNKS = [
    AnswerChunk(index, index == 2, ANSWER.answer_audio[7350 * index : 7350 * (index + 1)], **({} if index else FOUND))
    for index in range(3)
]


class FakeClient:
    """As `AsyncConvaiClient`; `error` is raised by every call, `whole_error` by `speak`, and `gate` holds each up.

    A stream brings `streamed`; `stream_gate` holds it up after the first, `stream_error` is raised after all.
    `models` are those that the server has.
    """

    def __init__(self, error=None, is_ready=True, streamed=CHUNKS, stream_error=None, models=STREAMS):
        self.error = error
        self.streamed, self.stream_error, self.models = streamed, stream_error, models
        self.gate = self.stream_gate = None
        self.whole_error = None
        self.closed_streams = 0
        self.asked = []  # (kind, what)
        self.connection = Connection()
        self.triton = SimpleNamespace(
            is_server_ready=self._is_ready, is_model_ready=self._has, get_inference_statistics=self._statistics
        )
        self.is_ready = is_ready

    async def transcribe(self, audio, *, sample_rate):
        await self._called("transcribe", audio)
        return f"{len(audio) / sample_rate:.2f} s"

    async def ask(self, audio, *, sample_rate, context, outputs=None, seed=None):
        await self._called("ask", (audio, sample_rate, context, seed))
        return ANSWER

    async def speak(self, text, *, seed=None):
        await self._called("speak", text)
        if self.whole_error is not None:
            raise self.whole_error
        return ANSWER

    async def answer(self, request):
        await self._called("answer", request)
        return ANSWER

    async def speak_stream(self, text, *, seed=None):
        await self._called("speak_stream", text)
        async for chunk in self._chunks():
            yield chunk

    async def chunks(self, request):
        await self._called("chunks", request)
        async for chunk in self._chunks():
            yield chunk

    async def _chunks(self):
        try:
            for chunk in self.streamed:
                yield chunk
                if self.stream_gate is not None:
                    await self.stream_gate.wait()
            if self.stream_error is not None:
                raise self.stream_error
        finally:
            self.closed_streams += 1

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

    async def _has(self, name, client_timeout=None):
        return name in self.models

    async def _statistics(self, client_timeout=None):
        return SimpleNamespace(model_stats=[])
