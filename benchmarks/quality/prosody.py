"""How alike two voices say the same text: spectrum, melody and loudness, tempo apart.

Frames are those of the mel spectrogram, matched by dynamic time warping of both mels.
"""

from dataclasses import dataclass
from functools import cached_property

import librosa
import numpy as np

from convai.backends.steps.voice_mel import FFT_LENGTH, HOP_LENGTH, mel_spectrogram
from convai.pipeline.arrays import Array
from convai.pipeline.description import VOICE_SAMPLE_RATE_HERTZ

DECIBELS_PER_NEPER = 20 / np.log(10)
PITCH_HERTZ = (65.0, 500.0)  # of any speaker
QUIETEST_DECIBELS = -50.0  # below the loudest frame; what is quieter is pause
FEWEST_FRAMES = 10  # voiced in both, for a correlation to say anything


@dataclass(frozen=True)
class Speech:
    """Audio, float32, shape = (samples,), 22,050 Hz, and what is measured of it once."""

    audio: Array

    @cached_property
    def mel(self) -> Array:
        """Log-mel about its mean, shape = (80, frames): its loudness does not count."""
        mel = mel_spectrogram(self.audio)
        return mel - mel.mean()

    @cached_property
    def log_pitch(self) -> Array:
        """Natural logarithm of the fundamental in hertz by pYIN (Mauch and Dixon 2014), NaN where there is no voice."""
        lowest, highest = PITCH_HERTZ
        pitch, _, _ = librosa.pyin(
            self.audio,
            fmin=lowest,
            fmax=highest,
            sr=VOICE_SAMPLE_RATE_HERTZ,
            frame_length=FFT_LENGTH,
            hop_length=HOP_LENGTH,
        )
        return np.log(pitch)

    @cached_property
    def decibels(self) -> Array:
        """Loudness of each frame, at least that of a pause."""
        rms = librosa.feature.rms(y=self.audio, frame_length=FFT_LENGTH, hop_length=HOP_LENGTH)[0]
        return librosa.amplitude_to_db(rms, ref=np.max, top_db=-QUIETEST_DECIBELS)


@dataclass(frozen=True)
class Likeness:
    """
    Attributes
    ----------
    mel_distance : mean absolute difference of the log-mels in dB
    pitch_correlation : Pearson's, of the logarithms of pitch where both have voice; NaN if that is hardly anywhere
    energy_correlation : Pearson's, of the loudness in dB
    """

    mel_distance: float
    pitch_correlation: float
    energy_correlation: float


def likeness(one: Speech, other: Speech) -> Likeness:
    """Compare two ways of saying one text."""
    _, path = librosa.sequence.dtw(one.mel, other.mel, metric="cityblock")
    mine, theirs = path.T
    return Likeness(
        float(np.abs(one.mel[:, mine] - other.mel[:, theirs]).mean() * DECIBELS_PER_NEPER),
        correlation(one.log_pitch[mine], other.log_pitch[theirs]),
        correlation(one.decibels[mine], other.decibels[theirs]),
    )


def correlation(one: Array, other: Array) -> float:
    """Pearson's correlation where both have a value; NaN if that is hardly anywhere, or one of them never changes."""
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < FEWEST_FRAMES or not one[known].std() or not other[known].std():
        return float("nan")
    return float(np.corrcoef(one[known], other[known])[0, 1])
