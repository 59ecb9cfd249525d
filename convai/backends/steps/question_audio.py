"""The audio of a question as every recogniser gets it: what is allowed, what is silence, at which sample rate."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import soxr

from convai.arrays import Array
from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.python_step import PythonStep
from convai.description.limits import (
    MAX_QUESTION_SECONDS,
    MAX_SAMPLE_RATE_HERTZ,
    MIN_QUESTION_SECONDS,
    MIN_SAMPLE_RATE_HERTZ,
)
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument

MAX_PEAK = 1.1  # decoders of lossy formats overshoot full scale by a little


def resample(audio: Array, sample_rate_hertz: int) -> Array:
    """Bring `audio`, shape = (samples,), from `sample_rate_hertz` to the 16 kHz that recognisers hear."""
    if sample_rate_hertz == SAMPLE_RATE_HERTZ:
        return audio.astype(np.float32, copy=False)
    return soxr.resample(audio.astype(np.float32, copy=False), sample_rate_hertz, SAMPLE_RATE_HERTZ)


def question_seconds(inputs: Row, outputs: Row) -> float:
    """Length of one question's audio; silence counts too."""
    return len(inputs["question_audio"]) / int(inputs["sample_rate"][0])


@dataclass(frozen=True, kw_only=True)
class ListeningStep(PythonStep):
    """A step that takes the question's audio: refuses what is none, knows silence, counts the seconds it hears."""

    counters: ClassVar[tuple[Counter, ...]] = (
        Counter("convai_question_seconds_total", "Audio of questions heard, in seconds", question_seconds),
    )

    min_seconds: float = MIN_QUESTION_SECONDS
    max_seconds: float = MAX_QUESTION_SECONDS
    silence_floor_dbfs: float = -60.0  # audio whose peak stays below this says nothing

    def __post_init__(self):
        if not 0.02 <= self.min_seconds < self.max_seconds:
            raise ValueError(
                f"min_seconds, max_seconds: got {self.min_seconds}, {self.max_seconds}; "
                "allowed is 0.02 <= min_seconds < max_seconds"
            )
        if not self.silence_floor_dbfs < 0:
            raise ValueError(f"silence_floor_dbfs: got {self.silence_floor_dbfs}; allowed is below 0")

    def heard(self, question_audio: Array, sample_rate: Array) -> Array | None:
        """The audio at 16 kHz, float32, shape = (samples,); None for silence.

        Parameters
        ----------
        question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
        sample_rate : int32, shape = (1,), hertz

        Raises
        ------
        InvalidArgument
            For what no recogniser could make sense of.
        """
        sample_rate_hertz = int(sample_rate[0])
        self._check_audio(question_audio, sample_rate_hertz)
        if np.abs(question_audio).max() < 10 ** (self.silence_floor_dbfs / 20):
            return None
        return resample(question_audio, sample_rate_hertz)

    def _check_audio(self, audio: Array, sample_rate_hertz: int) -> None:
        if not MIN_SAMPLE_RATE_HERTZ <= sample_rate_hertz <= MAX_SAMPLE_RATE_HERTZ:
            raise InvalidArgument(
                f"got a sample rate of {sample_rate_hertz} Hz; "
                f"allowed is {MIN_SAMPLE_RATE_HERTZ} to {MAX_SAMPLE_RATE_HERTZ} Hz"
            )
        if audio.ndim != 1:
            raise InvalidArgument(
                f"got audio of shape {list(audio.shape)}; allowed is one axis, [samples] of one channel"
            )
        self._check_length(len(audio), sample_rate_hertz)
        self._check_samples(audio)

    def _check_length(self, num_samples: int, sample_rate_hertz: int) -> None:
        # At 11,025 Hz nobody can send exactly 0.1 s, so the sample on either side will do.
        fewest = math.floor(self.min_seconds * sample_rate_hertz)
        most = math.ceil(self.max_seconds * sample_rate_hertz)
        if not fewest <= num_samples <= most:
            raise InvalidArgument(
                f"got {num_samples / sample_rate_hertz:.3f} s of audio ({num_samples} samples at "
                f"{sample_rate_hertz} Hz); allowed is {self.min_seconds} to {self.max_seconds} s "
                f"({fewest} to {most} samples)"
            )

    def _check_samples(self, audio: Array) -> None:
        num_nan, num_infinite = int(np.isnan(audio).sum()), int(np.isinf(audio).sum())
        if num_nan or num_infinite:
            raise InvalidArgument(f"got {num_nan} NaN and {num_infinite} infinite samples; allowed are finite samples")
        peak = float(np.abs(audio).max())
        if peak > MAX_PEAK:
            raise InvalidArgument(
                f"got samples up to {peak:.6g}; allowed is -1 to 1 (16-bit integer samples must be divided by 32768)"
            )
