"""The calls that the clients share: each builds a request here and sends it in the client's own way."""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from convai.arrays import Array
from convai.client.balancing import is_balanced
from convai.client.connection import DEFAULT_ADDRESS, Connection, Tls
from convai.client.requests import Request, answer_text_request, ask_request, speak_request
from convai.client.retries import Attempts, RetryBudget

Reply = TypeVar("Reply")
Chunks = TypeVar("Chunks")


class Calls(Generic[Reply]):
    """The calls of the pipeline; `Reply` is what the client's `answer` returns."""

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    def ask(
        self,
        audio: Array,
        *,
        sample_rate: int,
        context: str,
        outputs: Iterable[str] | None = None,
        seed: int | None = None,
    ) -> Reply:
        """Answer a spoken question from a text.

        Parameters
        ----------
        audio : float32 or float64 in [-1, 1], or int16, shape = (samples,)
            The question, mono, 0.1 s to 30 s.
        sample_rate : Hertz, 8,000 to 48,000
        context : the text to answer from, up to 32 KiB
        outputs : names of `Answer` fields; the server runs only the steps they need. None requests all.
        seed : another seed gives another take of the same spoken answer
        """
        return self.answer(ask_request(audio, sample_rate, context, outputs, seed))

    def answer_text(self, question: str, context: str) -> Reply:
        """Answer a written question: `answer`, `answer_score`, `answer_span`, and `sentence`, to be spoken."""
        return self.answer(answer_text_request(question, context))

    def speak(self, text: str, *, seed: int | None = None, speed: float = 1.0) -> Reply:
        """Read a text aloud: `answer_audio`, `mel`. `speed` is 0.5 to 2."""
        return self.answer(speak_request(text, seed, speed=speed))


class BaseClient(Calls[Reply], Generic[Reply, Chunks]):
    """A client with a connection; `Chunks` is the kind of generator that the client's `chunks` returns."""

    def __init__(
        self,
        address: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        timeout_seconds: float = 60.0,
        tls: Tls | None = None,
        retry: bool = True,
    ):
        self.connection = Connection(address, timeout_seconds, tls, retry)
        self.retry_budget = RetryBudget() if retry and is_balanced(address) else None
        # Any, because tritonclient has no types and pyright infers wrong ones from its code.
        self.triton: Any = self._connect()

    def _connect(self) -> Any:
        """Make tritonclient's client."""
        raise NotImplementedError

    def start_attempts(self) -> Attempts:
        return Attempts(self.connection.timeout_seconds, self.retry_budget)

    def chunks(self, request: Request) -> Chunks:
        raise NotImplementedError

    def ask_stream(self, audio: Array, *, sample_rate: int, context: str, seed: int | None = None) -> Chunks:
        """Answer a spoken question from a text and return the speech in chunks while the rest is synthesised.

        for chunk in client.ask_stream(audio, sample_rate=16_000, context=text):
            play(chunk.answer_audio)

        The chunks come in order; the first has question, answer, score and span. Closing the generator before the last
        chunk cancels the rest. `AsyncConvaiClient` needs `async for`, and `contextlib.aclosing` to cancel after a
        `break`. Arguments as in `ask`.
        """
        return self.chunks(ask_request(audio, sample_rate, context, seed=seed, stream=True))

    def speak_stream(self, text: str, *, seed: int | None = None, speed: float = 1.0) -> Chunks:
        """Read a text of up to 100,000 characters aloud, in chunks as `ask_stream` returns them. `speed`: 0.5 to 2."""
        return self.chunks(speak_request(text, seed, stream=True, speed=speed))
