"""The pipeline as Python calls.

with ConvaiClient("127.0.0.1:8001") as client:
    answer = client.ask(audio, sample_rate=16_000, context=text)
"""

from collections.abc import Iterable, Sequence
from typing import Any

import tritonclient.grpc

from convai.client.answer import Answer
from convai.client.connection import DEFAULT_ADDRESS, Connection, Tls
from convai.client.requests import Request, answer_text_request, ask_request, speak_request, transcribe_request
from convai.pipeline.arrays import Array


class ConvaiClient:
    """Asks a convai server; may be shared by threads.

    Parameters
    ----------
    address : host:port of the server's gRPC
        Or several servers: their addresses, or a DNS name that stands for them, like "dns:///convai:8001". Requests go
        around those that are there, and one that no server answered is sent to another.
    timeout_seconds : how long one call may take before it raises `TimedOut`
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

    def __enter__(self) -> "ConvaiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
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

    def answer(self, request: Request) -> Answer:
        return Answer.from_tensors(self.infer(request))

    def infer(self, request: Request) -> dict[str, Array]:
        """Call any model of the server; a single step too."""
        with self.connection.explained():
            result = self.triton.infer(**request.arguments(), client_timeout=self.connection.timeout_seconds)
        return request.read(result)
