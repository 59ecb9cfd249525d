"""The events of `AsyncConvaiClient.listen`, in the order in which they happen."""

from dataclasses import dataclass
from typing import Literal

from convai.arrays import Array
from convai.client.answer import Answer, AnswerChunk
from convai.client.errors import ConvaiError
from convai.client.steps import StepTime
from convai.description.pipeline import SAMPLE_RATE_HERTZ


@dataclass(frozen=True)
class SpeechStarted:
    """Speech began `start_seconds` after the first sample. Stop playing an answer now.

    If the answer is streamed, this event cancels the rest of it.
    """

    start_seconds: float


@dataclass(frozen=True)
class Caption:
    """The transcript so far of a question that is still being spoken; it covers the audio up to `until_seconds`."""

    text: str
    until_seconds: float


@dataclass(frozen=True, eq=False)
class SpeechEnded:
    """A question is complete and is being sent.

    Attributes
    ----------
    question_audio : float32 in [-1, 1], shape = (samples,), at `sample_rate`
    start_seconds, end_seconds : position in the stream
    """

    question_audio: Array
    start_seconds: float
    end_seconds: float

    @property
    def sample_rate(self) -> int:
        """Sample rate of `question_audio` in Hertz."""
        return SAMPLE_RATE_HERTZ


@dataclass(frozen=True)
class NothingAsked:
    """No question was sent: there was no speech until the end, or more than a question may last."""

    reason: Literal["no speech", "too long"]


@dataclass(frozen=True, eq=False)
class Answered:
    """The answer to a `SpeechEnded`, with all outputs of the pipeline. Answers come in the order of the questions."""

    answer: Answer


@dataclass(frozen=True, eq=False)
class Answering:
    """One chunk of the answer to a `SpeechEnded`; replaces `Answered` if the answer is streamed."""

    chunk: AnswerChunk


@dataclass(frozen=True)
class Transcribed:
    """The transcript of a `SpeechEnded`; replaces `Answered` if there is no context."""

    text: str


@dataclass(frozen=True)
class StepsTimed:
    """The time of each step of the last answer: the mean over its chunks and over requests of other clients."""

    steps: tuple[StepTime, ...]


@dataclass(frozen=True)
class Failed:
    """A question gets no answer, or no more chunks of it. Listening continues."""

    error: ConvaiError


Event = SpeechStarted | Caption | SpeechEnded | NothingAsked | Answered | Answering | Transcribed | StepsTimed | Failed
