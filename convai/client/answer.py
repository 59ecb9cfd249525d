"""What a client returns: a transcript, a whole answer, or the chunks of a streamed answer in order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convai.arrays import Array
from convai.client.errors import InvalidInput
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ


@dataclass(frozen=True)
class Word:
    """One word of a transcript; times are in seconds from the start of the audio."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Transcription:
    """A transcript, and when each of its words is said; empty for silence."""

    text: str
    words: tuple[Word, ...]

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array]) -> "Transcription":
        """Read the first row of each response tensor, shape = (1, *dims).

        Raises
        ------
        InvalidInput : if the server's recogniser gives no word times
        """
        text = _read_text(tensors["question"][0])
        times = zip(tensors["words"][0].tolist(), tensors["word_times"][0].tolist(), strict=True)
        words = tuple(Word(word.decode(), start, end) for word, (start, end) in times if word)
        if text and not words:
            raise InvalidInput("words: this server's recogniser gives no word times; use `transcribe`")
        return cls(text, words)


class Speech:
    """The properties of `answer_audio`, for `Answer` and `AnswerChunk`."""

    answer_audio: Any  # an array, or in an `Answer` also None

    @property
    def sample_rate(self) -> int:
        """Sample rate of `answer_audio` in Hertz."""
        return VOICE_SAMPLE_RATE_HERTZ

    @property
    def seconds(self) -> float:
        """Duration of `answer_audio`; 0 if it was not requested."""
        return 0.0 if self.answer_audio is None else self.answer_audio.size / self.sample_rate


@dataclass(frozen=True, eq=False)
class Answer(Speech):
    """The outputs of one request; an output that was not requested is None.

    Attributes
    ----------
    question : transcript of the spoken question
    answer : the span of the context that answers the question, verbatim; empty if there is none
    answer_score : confidence of the answer, 0 to 1
    answer_span : start and end (exclusive) character of the answer in the context; (-1, -1) if there is none
    sentence : what is spoken: the answer, or if there is none, a sentence that says so; only of `answer_text`
    answer_audio : float32, shape = (samples,)
        The spoken answer, in [-1, 1] at `sample_rate`.
    mel : float32, shape = (80, frames)
        Log-mel spectrogram of the spoken answer.
    """

    question: str | None = None
    answer: str | None = None
    answer_score: float | None = None
    answer_span: tuple[int, int] | None = None
    sentence: str | None = None
    answer_audio: Array | None = None
    mel: Array | None = None

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array]) -> "Answer":
        """Read the first row of each response tensor, shape = (1, *dims)."""
        return cls(**{name: READERS[name](row[0]) for name, row in tensors.items()})


@dataclass(frozen=True, eq=False)
class AnswerChunk(Speech):
    """One chunk of a streamed answer; concatenating `answer_audio` of all chunks gives the whole.

    Attributes
    ----------
    chunk_index : position of the chunk, from 0
    is_last : whether this is the last chunk of the answer
    answer_audio : float32, shape = (samples,)
        In [-1, 1] at `sample_rate`.
    question, answer, answer_score, answer_span : as in `Answer`
        Only in the first chunk of an answer to a spoken question; None in all others.
    """

    chunk_index: int
    is_last: bool
    answer_audio: Array
    question: str | None = None
    answer: str | None = None
    answer_score: float | None = None
    answer_span: tuple[int, int] | None = None

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array]) -> "AnswerChunk":
        """Read the only row of each response tensor, shape = (1, *dims)."""
        index = int(tensors["chunk_index"][0, 0])
        found = tensors.keys() - {"chunk_index", "is_last", "answer_audio"} if index == 0 else ()
        return cls(
            index,
            bool(tensors["is_last"][0, 0]),
            tensors["answer_audio"][0],
            **{name: READERS[name](tensors[name][0]) for name in found},
        )


class ChunkOrder:
    """Sorts the chunks of one stream, of which the last may arrive before others."""

    def __init__(self):
        self.waiting: dict[int, AnswerChunk] = {}  # by index
        self.next_index = 0
        self.is_complete = False

    def take(self, chunk: AnswerChunk) -> Iterator[AnswerChunk]:
        """Yield the chunks that are next in order now that `chunk` is there."""
        self.waiting[chunk.chunk_index] = chunk
        while self.next_index in self.waiting:
            chunk = self.waiting.pop(self.next_index)
            self.next_index += 1
            self.is_complete = chunk.is_last
            yield chunk


def _read_text(row: Array) -> str:
    return row[0].decode()


def _read_number(row: Array) -> float:
    return float(row[0])


def _read_span(row: Array) -> tuple[int, int]:
    start, end = row.tolist()
    return start, end


READERS: dict[str, Callable[[Array], Any]] = {  # one per field of `Answer`
    "question": _read_text,
    "answer": _read_text,
    "answer_score": _read_number,
    "answer_span": _read_span,
    "sentence": _read_text,
    "answer_audio": np.asarray,
    "mel": np.asarray,
}
