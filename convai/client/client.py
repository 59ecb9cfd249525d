"""The pipeline as blocking calls.

with ConvaiClient("127.0.0.1:8001") as client:
    answer = client.ask(audio, sample_rate=16_000, context=text)
"""

import time
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import tritonclient.grpc

from convai.arrays import Array
from convai.client.answer import Answer, AnswerChunk, Transcription
from convai.client.base import BaseClient
from convai.client.errors import Overloaded
from convai.client.requests import Request, transcribe_request
from convai.client.steps import (
    POLL_SECONDS,
    SETTLE_SECONDS,
    Counters,
    TimedAnswer,
    calls_of,
    have_counted,
    read_statistics,
    times_between,
)
from convai.client.streaming import StreamingClients


class ConvaiClient(BaseClient[Answer, Generator[AnswerChunk]]):
    """Calls a convai server; threads may share one client.

    Parameters
    ----------
    address : host:port of the server's gRPC
        Or several servers: a list of addresses, or a DNS target like "dns:///convai:8001". Requests go round-robin,
        and a request that no server answered is retried on another server, within its timeout.
    timeout_seconds : limit for one call, or for the next chunk of a stream; then the client raises `TimedOut`
    tls : PEM files, for a server with encryption
    retry : whether requests are retried on another server

    Every method raises a `ConvaiError`: `InvalidInput`, `ServerUnreachable`, `Overloaded`, `TimedOut` or `ServerError`.
    """

    def _connect(self) -> Any:
        self.streaming = StreamingClients(self.connection)
        return tritonclient.grpc.InferenceServerClient(**self.connection.options())

    def __enter__(self) -> "ConvaiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.streaming.close()
        self.triton.close()

    def transcribe(self, audio: Array, *, sample_rate: int) -> str:
        """Return the transcript in lower case. Audio as in `ask`."""
        return self.answer(transcribe_request(audio, sample_rate)).question or ""

    def transcribe_words(self, audio: Array, *, sample_rate: int) -> Transcription:
        """Transcribe audio, and find when each word starts and ends. Audio as in `ask`.

        Raises `InvalidInput` if the server's recogniser gives no word times, as Moonshine does not.
        """
        return Transcription.from_tensors(self.infer(transcribe_request(audio, sample_rate, with_words=True)))

    def answer(self, request: Request) -> Answer:
        return Answer.from_tensors(self.infer(request))

    def chunks(self, request: Request) -> Generator[AnswerChunk]:
        return self.streaming.chunks(request)

    def infer(self, request: Request) -> dict[str, Array]:
        """Call any model of the server, also a single step."""
        arguments, attempts = request.arguments(), self._start_attempts()
        while True:
            try:
                with self.connection.translate_errors():
                    result = self.triton.infer(**arguments, client_timeout=attempts.seconds_left)
            except Overloaded as error:
                time.sleep(attempts.choose_pause(error))
            else:
                attempts.succeed()
                return request.read(result)

    def read_counters(self) -> dict[str, Counters]:
        """Read Triton's counters of each loaded model, by name."""
        with self.connection.translate_errors():
            timeout_seconds = self.connection.timeout_seconds
            return read_statistics(self.triton.get_inference_statistics(client_timeout=timeout_seconds))

    def wait_for_counters(
        self, before: Mapping[str, Counters], steps: Iterable[str], requests: int = 1
    ) -> dict[str, Counters]:
        """Poll until each of `steps` has counted `requests` more; Triton counts shortly after it responds."""
        steps = tuple(steps)
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            after = self.read_counters()
            if have_counted(before, after, steps, requests) or time.monotonic() > deadline:
                return after
            time.sleep(POLL_SECONDS)

    def answer_timed(self, request: Request) -> TimedAnswer:
        """Send `request` to its ensemble and measure each step that it runs."""
        before = self.read_counters()
        start = time.perf_counter()
        answer = self.answer(request)
        round_trip_seconds = time.perf_counter() - start
        calls = calls_of(request, before)
        steps = tuple(call.step for call in calls)
        times = times_between(before, self.wait_for_counters(before, steps), steps)
        return TimedAnswer(answer, calls, times, round_trip_seconds)
