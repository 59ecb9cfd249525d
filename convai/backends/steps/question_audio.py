"""The audio of a question, as every recogniser reads it: validation, silence, sample rate."""

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
SILENT_PEAK = 10 ** (-60 / 20)  # -60 dBFS; audio whose peak is below it has no speech


def resample(audio: Array, sample_rate_hertz: int) -> Array:
    """Resample `audio`, shape = (samples,), to the 16 kHz of the recognisers; float32."""
    if sample_rate_hertz == SAMPLE_RATE_HERTZ:
        return audio.astype(np.float32, copy=False)
    return soxr.resample(audio.astype(np.float32, copy=False), sample_rate_hertz, SAMPLE_RATE_HERTZ)


def question_seconds(inputs: Row, outputs: Row) -> float:
    """Length of one question's audio; silence counts too."""
    return len(inputs["question_audio"]) / int(inputs["sample_rate"][0])


def read_audio(question_audio: Array, sample_rate: Array) -> Array | None:
    """Validate a question's audio and resample it to 16 kHz.

    Parameters
    ----------
    question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
    sample_rate : int32, shape = (1,), hertz

    Returns
    -------
    float32, shape = (samples,), 16 kHz; None for silence

    Raises
    ------
    InvalidArgument
        For audio that a recogniser cannot process.
    """
    sample_rate_hertz = int(sample_rate[0])
    check_audio(question_audio, sample_rate_hertz)
    if np.abs(question_audio).max() < SILENT_PEAK:
        return None
    return resample(question_audio, sample_rate_hertz)


def check_audio(audio: Array, sample_rate_hertz: int) -> None:
    if not MIN_SAMPLE_RATE_HERTZ <= sample_rate_hertz <= MAX_SAMPLE_RATE_HERTZ:
        raise InvalidArgument(
            f"sample_rate: expected {MIN_SAMPLE_RATE_HERTZ} to {MAX_SAMPLE_RATE_HERTZ} Hz, got {sample_rate_hertz}"
        )
    if audio.ndim != 1:
        raise InvalidArgument(
            f"question_audio: expected one axis, [samples] of one channel, got shape {list(audio.shape)}"
        )
    # At 11,025 Hz 0.1 s is not a whole number of samples, so the limits are rounded outwards.
    fewest = math.floor(MIN_QUESTION_SECONDS * sample_rate_hertz)
    most = math.ceil(MAX_QUESTION_SECONDS * sample_rate_hertz)
    if not fewest <= len(audio) <= most:
        raise InvalidArgument(
            f"question_audio: expected {MIN_QUESTION_SECONDS:g} to {MAX_QUESTION_SECONDS:g} s ({fewest} to {most} "
            f"samples at {sample_rate_hertz} Hz), got {len(audio) / sample_rate_hertz:.3f} s ({len(audio)} samples)"
        )
    peak = float(np.abs(audio).max())
    if not math.isfinite(peak):
        num_nan, num_infinite = int(np.isnan(audio).sum()), int(np.isinf(audio).sum())
        raise InvalidArgument(
            f"question_audio: expected finite samples, got {num_nan} NaN and {num_infinite} infinite ones"
        )
    if peak > MAX_PEAK:
        raise InvalidArgument(
            f"question_audio: expected samples from -1 to 1, got up to {peak:.6g}; divide 16-bit integers by 32768"
        )


@dataclass(frozen=True, kw_only=True)
class RecogniserStep(PythonStep):
    """A step that takes the question's audio; it counts the seconds for Prometheus."""

    counters: ClassVar[tuple[Counter, ...]] = (
        Counter("convai_question_seconds_total", "Audio of transcribed questions, in seconds", question_seconds),
    )
