"""First step of hearing: the question's audio becomes the normalised log-mel features that Jasper reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import scipy.fft
import soxr

from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.buckets import check_buckets, smallest_bucket
from convai.backends.steps.mel_filters import mel_filterbank
from convai.pipeline.arrays import Array
from convai.pipeline.description import NUM_FEATURES, SAMPLE_RATE_HERTZ
from convai.pipeline.mistakes import CallerMistake

HOP_LENGTH = 160  # 10 ms
WINDOW_LENGTH = 320  # 20 ms
FFT_LENGTH = 512
FRAMES_PER_SECOND = SAMPLE_RATE_HERTZ // HOP_LENGTH
PREEMPHASIS = 0.97
LOG_OFFSET = 1e-20
STD_OFFSET = 1e-5
MIN_SAMPLE_RATE_HERTZ = 8_000
MAX_SAMPLE_RATE_HERTZ = 48_000
MAX_PEAK = 1.1  # decoders of lossy formats overshoot full scale by a little


def resample(audio: Array, sample_rate_hertz: int) -> Array:
    """Bring `audio`, shape = (samples,), from `sample_rate_hertz` to the 16 kHz that Jasper hears."""
    if sample_rate_hertz == SAMPLE_RATE_HERTZ:
        return audio.astype(np.float32, copy=False)
    return soxr.resample(audio.astype(np.float32, copy=False), sample_rate_hertz, SAMPLE_RATE_HERTZ)


def num_frames(num_samples: int) -> int:
    """Frames that hold signal: one per 10 ms hop begun."""
    return -(-num_samples // HOP_LENGTH)


def log_mel(audio: Array) -> Array:
    """Log-mel power spectrum as NVIDIA's Jasper computes it, without dither and before normalisation.

    Parameters
    ----------
    audio : float32, shape = (samples,), 16 kHz; at least two samples

    Returns
    -------
    float32, shape = (64, ceil(samples / 160))
    """
    emphasised = audio.astype(np.float32)
    emphasised[1:] -= np.float32(PREEMPHASIS) * audio[:-1]
    padded = np.pad(emphasised, FFT_LENGTH // 2, mode="reflect")
    # The Hann window sits in the middle of the FFT frame, so only its 320 samples are read;
    # zeros after instead of around them change the phase alone, which the power does not see.
    margin = (FFT_LENGTH - WINDOW_LENGTH) // 2
    frames = np.lib.stride_tricks.sliding_window_view(padded[margin:], WINDOW_LENGTH)[::HOP_LENGTH]
    spectrum = np.asarray(scipy.fft.rfft(frames[: num_frames(len(audio))] * _window(), n=FFT_LENGTH))
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(_filterbank() @ power.T + np.float32(LOG_OFFSET))


def normalize(log_mel: Array) -> Array:
    """Give every feature zero mean and unit variance over its frames; float32, shape = (64, frames >= 2)."""
    mean = log_mel.mean(axis=1, keepdims=True)
    std = log_mel.std(axis=1, ddof=1, keepdims=True)
    return (log_mel - mean) / (std + np.float32(STD_OFFSET))


def raise_noise_floor(log_mel: Array, decibels: float) -> Array:
    """Add a constant power to every feature, given in decibels relative to the mean power of all; same shape.

    Between its words synthetic speech is digital silence, recorded speech is not: without a common floor, normalisation
    makes two different things of the same sounds. A floor relative to the speech leaves its loudness without effect.
    """
    floor = np.log(np.exp(log_mel).mean()) + decibels * np.log(10) / 10
    return np.logaddexp(log_mel, floor, dtype=np.float32)


def jasper_features(audio: Array) -> Array:
    """What NVIDIA's Jasper reads: normalised log-mel of `audio` (16 kHz), float32, shape = (64, frames), not padded."""
    return normalize(log_mel(audio))


@cache
def _window() -> Array:
    return np.hanning(WINDOW_LENGTH).astype(np.float32)  # symmetric, unlike the default of most STFTs


@cache
def _filterbank() -> Array:
    return mel_filterbank(SAMPLE_RATE_HERTZ, FFT_LENGTH, NUM_FEATURES, max_hertz=SAMPLE_RATE_HERTZ / 2)


def question_seconds(inputs: Row, outputs: Row) -> float:
    """Length of one question's audio; silence counts too."""
    return len(inputs["question_audio"]) / int(inputs["sample_rate"][0])


@dataclass(frozen=True)
class SpeechFeatures(PythonStep):
    """Audio at any sample rate -> normalised log-mel features padded to a bucket, and how many frames are valid."""

    counters: ClassVar[tuple[Counter, ...]] = (
        Counter("convai_question_seconds_total", "Audio of questions heard, in seconds", question_seconds),
    )

    buckets: Sequence[int]  # frames
    min_seconds: float = 0.1
    max_seconds: float = 30.0
    silence_floor_dbfs: float = -60.0  # audio whose peak stays below this has no valid frame
    noise_floor_decibels: float | None = None  # see `raise_noise_floor`; NVIDIA's networks were trained without

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        if not 0.02 <= self.min_seconds < self.max_seconds:
            raise ValueError(
                f"min_seconds, max_seconds: got {self.min_seconds}, {self.max_seconds}; "
                "allowed is 0.02 <= min_seconds < max_seconds"
            )
        if self.max_seconds * FRAMES_PER_SECOND >= self.buckets[-1]:  # resampling may round up into one more frame
            raise ValueError(
                f"max_seconds: got {self.max_seconds}; allowed is less than "
                f"{self.buckets[-1] / FRAMES_PER_SECOND}, which the last bucket holds"
            )
        if not self.silence_floor_dbfs < 0:
            raise ValueError(f"silence_floor_dbfs: got {self.silence_floor_dbfs}; allowed is below 0")
        if self.noise_floor_decibels is not None and not -150 <= self.noise_floor_decibels < 0:
            raise ValueError(f"noise_floor_decibels: got {self.noise_floor_decibels}; allowed is -150 to below 0")
        _filterbank()  # at load rather than with the first request

    def __call__(self, *, question_audio: Array, sample_rate: Array) -> dict[str, Array]:
        """Features of one question.

        Parameters
        ----------
        question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
        sample_rate : int32, shape = (1,), hertz

        Returns
        -------
        features : float32, shape = (64, bucket), zero from the first invalid frame on
        features_length : int32, shape = (1,), valid frames; 0 for silence
        """
        sample_rate_hertz = int(sample_rate[0])
        self._check_audio(question_audio, sample_rate_hertz)
        valid = np.zeros((NUM_FEATURES, 0), np.float32)
        if np.abs(question_audio).max() >= 10 ** (self.silence_floor_dbfs / 20):
            valid = self.normalized(log_mel(resample(question_audio, sample_rate_hertz)))
        num_valid = valid.shape[1]
        features = np.zeros((NUM_FEATURES, smallest_bucket(num_valid, self.buckets, "frames")), np.float32)
        features[:, :num_valid] = valid
        return {"features": features, "features_length": np.array([num_valid], np.int32)}

    def normalized(self, log_mel: Array) -> Array:
        """Raise the noise floor, if there is to be one, and normalise; float32, shape = (64, frames >= 2)."""
        if self.noise_floor_decibels is not None:
            log_mel = raise_noise_floor(log_mel, self.noise_floor_decibels)
        return normalize(log_mel)

    def _check_audio(self, audio: Array, sample_rate_hertz: int) -> None:
        if not MIN_SAMPLE_RATE_HERTZ <= sample_rate_hertz <= MAX_SAMPLE_RATE_HERTZ:
            raise CallerMistake(
                f"got a sample rate of {sample_rate_hertz} Hz; "
                f"allowed is {MIN_SAMPLE_RATE_HERTZ} to {MAX_SAMPLE_RATE_HERTZ} Hz"
            )
        if audio.ndim != 1:
            raise CallerMistake(
                f"got audio of shape {list(audio.shape)}; allowed is one axis, [samples] of one channel"
            )
        self._check_length(len(audio), sample_rate_hertz)
        self._check_samples(audio)

    def _check_length(self, num_samples: int, sample_rate_hertz: int) -> None:
        # At 11,025 Hz nobody can send exactly 0.1 s, so the sample on either side will do.
        fewest = math.floor(self.min_seconds * sample_rate_hertz)
        most = math.ceil(self.max_seconds * sample_rate_hertz)
        if not fewest <= num_samples <= most:
            raise CallerMistake(
                f"got {num_samples / sample_rate_hertz:.3f} s of audio ({num_samples} samples at "
                f"{sample_rate_hertz} Hz); allowed is {self.min_seconds} to {self.max_seconds} s "
                f"({fewest} to {most} samples)"
            )

    def _check_samples(self, audio: Array) -> None:
        num_nan, num_infinite = int(np.isnan(audio).sum()), int(np.isinf(audio).sum())
        if num_nan or num_infinite:
            raise CallerMistake(f"got {num_nan} NaN and {num_infinite} infinite samples; allowed are finite samples")
        peak = float(np.abs(audio).max())
        if peak > MAX_PEAK:
            raise CallerMistake(
                f"got samples up to {peak:.6g}; allowed is -1 to 1 (16-bit integer samples must be divided by 32768)"
            )
