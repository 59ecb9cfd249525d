"""A client without a server: it answers at once, records what it was asked, and fails on demand."""

from types import SimpleNamespace

import numpy as np
from tritonclient.grpc.service_pb2 import InferStatistics, ModelStatistics, ModelStatisticsResponse, StatisticDuration

from convai.client import Answer, AnswerChunk, AsyncConvaiClient, Transcription, Word
from convai.description.recognisers import JASPER, steps_with

STREAMS = ("convai_ensemble_stream", "text_to_speech_stream")
ANSWER = Answer(
    question="what is it",
    answer="a test",
    answer_score=0.5,
    answer_span=(0, 6),
    sentence="a test.",
    answer_audio=np.sin(np.arange(22_050) / 20).astype(np.float32) / 2,
    mel=np.zeros((80, 86), np.float32),
)
FOUND = {name: getattr(ANSWER, name) for name in ("question", "answer", "answer_score", "answer_span")}
CHUNKS = [
    AnswerChunk(index, index == 2, ANSWER.answer_audio[7350 * index : 7350 * (index + 1)], **({} if index else FOUND))
    for index in range(3)
]


class FakeClient(AsyncConvaiClient):
    """`error` is raised by every call, `whole_error` by `speak`, and `gate` holds each call up.

    A stream brings `streamed`; `stream_gate` holds it up after its first chunk, `stream_error` ends it.
    `models` are the streaming ensembles that the server has, besides the steps of a pipeline with `recogniser`.
    """

    def __init__(
        self, error=None, is_ready=True, streamed=CHUNKS, stream_error=None, models=STREAMS, recogniser=JASPER
    ):
        super().__init__()
        self.error = error
        self.streamed, self.stream_error, self.models = streamed, stream_error, models
        self.gate = self.stream_gate = None
        self.whole_error = self.speed = None
        self.closed_streams = 0
        self.asked = []  # (kind, what)
        self.steps = [step.name for step in steps_with(recogniser)]
        self.statistics_reads = 0
        self.is_ready = is_ready

    def _connect(self):
        return SimpleNamespace(
            is_server_ready=self._is_ready, is_model_ready=self._has, get_inference_statistics=self._statistics
        )

    async def transcribe(self, audio, *, sample_rate):
        await self._record("transcribe", audio)
        return f"{len(audio) / sample_rate:.2f} s"

    async def transcribe_words(self, audio, *, sample_rate):
        await self._record("transcribe_words", audio)
        seconds = len(audio) / sample_rate
        return Transcription(f"{seconds:.2f} s", (Word(f"{seconds:.2f}", 0.1, 0.2), Word("s", 0.2, 0.3)))

    async def ask(self, audio, *, sample_rate, context, outputs=None, seed=None):
        await self._record("ask", (audio, sample_rate, context, seed))
        return ANSWER

    async def speak(self, text, *, seed=None, speed=1.0):
        self.speed = speed
        await self._record("speak", text)
        if self.whole_error is not None:
            raise self.whole_error
        return ANSWER

    async def answer(self, request):
        await self._record("answer", request)
        return ANSWER

    async def speak_stream(self, text, *, seed=None, speed=1.0):
        self.speed = speed
        await self._record("speak_stream", text)
        async for chunk in self._chunks():
            yield chunk

    async def chunks(self, request):
        await self._record("chunks", request)
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

    async def _record(self, kind, what):
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
        """Each request has run every step once, for 2 ms in all."""
        self.statistics_reads += 1
        count = len(self.asked)
        time = StatisticDuration(count=count, ns=500_000 * count)
        parts = dict.fromkeys(("success", "queue", "compute_input", "compute_infer", "compute_output"), time)
        models = [ModelStatistics(name=step, inference_stats=InferStatistics(**parts)) for step in self.steps]
        return ModelStatisticsResponse(model_stats=models)
