"""What a caller gets back."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from convai.arrays import Array
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ


@dataclass(frozen=True, eq=False)
class Answer:
    """The outputs of one request; an output that was not requested is None.

    Attributes
    ----------
    question : what was heard
    answer : the part of the context that answers the question, character for character; empty when there is none
    answer_score : how sure the server is, 0 to 1
    answer_span : start and end (exclusive) character of the answer in the context; (-1, -1) when there is none
    answer_audio : float32, shape = (samples,)
        The spoken answer in [-1, 1] at `sample_rate`; when there is none, a sentence that says so.
    mel : float32, shape = (80, frames)
        Log-mel spectrogram of the spoken answer.
    """

    question: str | None = None
    answer: str | None = None
    answer_score: float | None = None
    answer_span: tuple[int, int] | None = None
    answer_audio: Array | None = None
    mel: Array | None = None

    @property
    def sample_rate(self) -> int:
        """Samples per second of `answer_audio`."""
        return VOICE_SAMPLE_RATE_HERTZ

    @property
    def seconds(self) -> float:
        """Length of `answer_audio`; 0 if it was not requested."""
        return 0.0 if self.answer_audio is None else self.answer_audio.size / self.sample_rate

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array]) -> "Answer":
        """Read the first row of each response tensor, shape = (1, *dims)."""
        return cls(**{name: READERS[name](row[0]) for name, row in tensors.items()})


@dataclass(frozen=True, eq=False)
class AnswerChunk:
    """A piece of a spoken answer, of which the audio of all pieces joined is the whole.

    Attributes
    ----------
    chunk_index : its place, from 0
    is_last : whether the answer ends with it
    answer_audio : float32, shape = (samples,)
        In [-1, 1] at `sample_rate`.
    question, answer, answer_score, answer_span : as in `Answer`, of the first chunk to a spoken question; else None
    """

    chunk_index: int
    is_last: bool
    answer_audio: Array
    question: str | None = None
    answer: str | None = None
    answer_score: float | None = None
    answer_span: tuple[int, int] | None = None

    @property
    def sample_rate(self) -> int:
        """Samples per second of `answer_audio`."""
        return VOICE_SAMPLE_RATE_HERTZ

    @property
    def seconds(self) -> float:
        """Length of `answer_audio`."""
        return self.answer_audio.size / self.sample_rate

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array]) -> "AnswerChunk":
        """Read the only row of each response tensor, shape = (1, *dims)."""
        index = int(tensors["chunk_index"][0, 0])
        told = tensors.keys() - {"chunk_index", "is_last", "answer_audio"} if index == 0 else ()
        return cls(
            index,
            bool(tensors["is_last"][0, 0]),
            tensors["answer_audio"][0],
            **{name: READERS[name](tensors[name][0]) for name in told},
        )


def _text(row: Array) -> str:
    return row[0].decode()


def _number(row: Array) -> float:
    return float(row[0])


def _span(row: Array) -> tuple[int, int]:
    start, end = row.tolist()
    return start, end


READERS: dict[str, Callable[[Array], Any]] = {
    "question": _text,
    "answer": _text,
    "answer_score": _number,
    "answer_span": _span,
    "answer_audio": np.asarray,
    "mel": np.asarray,
}
assert set(READERS) == {field.name for field in fields(Answer)}
