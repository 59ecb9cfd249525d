"""The pipeline as Python calls.

with ConvaiClient("127.0.0.1:8001") as client:
    answer = client.ask(audio, sample_rate=16_000, context=text)
"""

from collections.abc import Generator, Iterable, Sequence
from typing import Any

import tritonclient.grpc

from convai.arrays import Array
from convai.client.answer import Answer, AnswerChunk
from convai.client.connection import DEFAULT_ADDRESS, Connection, Tls
from convai.client.requests import (
    Request,
    answer_text_request,
    ask_request,
    ask_stream_request,
    speak_request,
    speak_stream_request,
    transcribe_request,
)
from convai.client.streaming import StreamingClients


class ConvaiClient:
    """Asks a convai server; may be shared by threads.

    Parameters
    ----------
    address : host:port of the server's gRPC
        Or several servers: their addresses, or a DNS name that stands for them, like "dns:///convai:8001". Requests go
        around those that are there, and one that no server answered is sent to another.
    timeout_seconds : how long one call, or the next chunk of a stream, may take before it raises `TimedOut`
    tls : PEM files, for a server that encrypts
    retry : whether requests are sent to another server; with one address there is none

    Every method raises a `ConvaiError`: `InvalidInput`, `ServerUnreachable`, `Overloaded`, `TimedOut` or `ServerError`.
    """

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
        self.triton: Any = tritonclient.grpc.InferenceServerClient(**self.connection.options())
        self.streaming = StreamingClients(self.connection)

    def __enter__(self) -> "ConvaiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.streaming.close()
        self.triton.close()

    def ask(
        self,
        audio: Array,
        *,
        sample_rate: int,
        context: str,
        outputs: Iterable[str] | None = None,
        seed: int | None = None,
    ) -> Answer:
        """Answer a spoken question from a text.

        Parameters
        ----------
        audio : float32 or float64 in [-1, 1], or int16, shape = (samples,)
            The question, mono, 0.1 s to 30 s.
        sample_rate : Hertz, 8,000 to 48,000
        context : the text to answer from, up to 32 KiB
        outputs : names of the `Answer` fields wanted; the server runs only the steps they need. None means all.
        seed : another seed gives another take of the same spoken answer
        """
        return self.answer(ask_request(audio, sample_rate, context, outputs, seed))

    def transcribe(self, audio: Array, *, sample_rate: int) -> str:
        """What was said, in lower case. Audio as in `ask`."""
        question = self.answer(transcribe_request(audio, sample_rate)).question
        assert question is not None  # it was requested
        return question

    def answer_text(self, question: str, context: str) -> Answer:
        """Answer a written question: `answer`, `answer_score`, `answer_span`."""
        return self.answer(answer_text_request(question, context))

    def speak(self, text: str, *, seed: int | None = None) -> Answer:
        """Read a text aloud: `answer_audio`, `mel`."""
        return self.answer(speak_request(text, seed))

    def ask_stream(
        self, audio: Array, *, sample_rate: int, context: str, seed: int | None = None
    ) -> Generator[AnswerChunk]:
        """Answer a spoken question from a text, and speak while the rest is still being made.

        for chunk in client.ask_stream(audio, sample_rate=16_000, context=text):
            play(chunk.answer_audio)

        Yields the chunks in their order; the first tells question, answer, score and span. Whoever stops before the
        last, or closes the generator, cancels what has not begun. Arguments as in `ask`.
        """
        return self.streaming.chunks(ask_stream_request(audio, sample_rate, context, seed))

    def speak_stream(self, text: str, *, seed: int | None = None) -> Generator[AnswerChunk]:
        """Read a text of up to 100,000 characters aloud, and speak while the rest is still being made.

        Yields chunks as `ask_stream` does.
        """
        return self.streaming.chunks(speak_stream_request(text, seed))

    def answer(self, request: Request) -> Answer:
        return Answer.from_tensors(self.infer(request))

    def infer(self, request: Request) -> dict[str, Array]:
        """Call any model of the server; a single step too."""
        with self.connection.explained():
            result = self.triton.infer(**request.arguments(), client_timeout=self.connection.timeout_seconds)
        return request.read(result)
