"""What `listen` tells its caller, in the order it happens: the speech, the words so far, its end, the answer."""

from dataclasses import dataclass
from typing import Literal

from convai.arrays import Array
from convai.client.answer import Answer, AnswerChunk
from convai.client.errors import ConvaiError
from convai.client.step_times import StepTime
from convai.description.pipeline import SAMPLE_RATE_HERTZ


@dataclass(frozen=True)
class SpeechStarted:
    """Somebody began to speak, so many seconds after the first sample: the moment to stop playing an answer.

    Of an answer that was being streamed, no more comes.
    """

    start_seconds: float


@dataclass(frozen=True)
class Caption:
    """The words heard so far in speech that still goes on; `heard_until_seconds` tells how fresh they are."""

    text: str
    heard_until_seconds: float


@dataclass(frozen=True, eq=False)
class SpeechEnded:
    """A question is complete and is being asked.

    Attributes
    ----------
    question_audio : float32 in [-1, 1], shape = (samples,), at `sample_rate`
    start_seconds, end_seconds : where it stands in what was heard
    """

    question_audio: Array
    start_seconds: float
    end_seconds: float

    @property
    def sample_rate(self) -> int:
        """Samples per second of `question_audio`."""
        return SAMPLE_RATE_HERTZ


@dataclass(frozen=True)
class NothingAsked:
    """No question was sent: no speech was heard until the end, or it was too long for a question."""

    reason: Literal["no speech", "too long"]


@dataclass(frozen=True, eq=False)
class Answered:
    """The answer to a `SpeechEnded`, with all outputs of the pipeline; questions are answered in their order."""

    answer: Answer


@dataclass(frozen=True, eq=False)
class Answering:
    """A piece of the answer to a `SpeechEnded`, in place of `Answered` if it is streamed; the last one says so."""

    chunk: AnswerChunk


@dataclass(frozen=True)
class StepsTimed:
    """The time of each step behind the last answer; means over its chunks, and over what others asked meanwhile."""

    steps: tuple[StepTime, ...]


@dataclass(frozen=True)
class Failed:
    """A `SpeechEnded` gets no answer, or no more of the one that was being streamed; listening goes on."""

    error: ConvaiError


Event = SpeechStarted | Caption | SpeechEnded | NothingAsked | Answered | Answering | StepsTimed | Failed
