"""First step of hearing: the question's audio becomes the normalised log-mel features that Jasper reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.fft

from convai.arrays import Array
from convai.audio.mel_filters import mel_filterbank
from convai.backends.steps.buckets import check_buckets, smallest_bucket
from convai.backends.steps.question_audio import ListeningStep
from convai.description.pipeline import NUM_FEATURES, SAMPLE_RATE_HERTZ

HOP_LENGTH = 160  # 10 ms
WINDOW_LENGTH = 320  # 20 ms
FFT_LENGTH = 512
FRAMES_PER_SECOND = SAMPLE_RATE_HERTZ // HOP_LENGTH
PREEMPHASIS = 0.97
STD_OFFSET = 1e-5
PADDINGS: Mapping[str, Literal["reflect", "constant"]] = {"reflect": "reflect", "zeros": "constant"}  # NumPy's names


@dataclass(frozen=True)
class LogMelOptions:
    """What those who train on these features do not agree on; NVIDIA's Jasper unless told otherwise.

    Attributes
    ----------
    log_offset : power added before the logarithm
    padding : what lies before and after the signal, itself mirrored ("reflect") or "zeros"
    partial_frame : whether samples after the last whole hop have a frame of their own
    """

    log_offset: float = 1e-20
    padding: str = "reflect"
    partial_frame: bool = True

    def __post_init__(self):
        if not 0 < self.log_offset < 1:
            raise ValueError(f"log_offset: got {self.log_offset}; allowed is above 0 and below 1")
        if self.padding not in PADDINGS:
            raise ValueError(f"padding: got {self.padding!r}; allowed are {', '.join(map(repr, PADDINGS))}")

    def num_frames(self, num_samples: int) -> int:
        """Frames that hold signal: one per 10 ms hop begun, or per whole hop."""
        return -(-num_samples // HOP_LENGTH) if self.partial_frame else num_samples // HOP_LENGTH


NVIDIA_LOG_MEL = LogMelOptions()


def log_mel(audio: Array, options: LogMelOptions = NVIDIA_LOG_MEL) -> Array:
    """Log-mel power spectrum as NVIDIA's Jasper computes it, without dither and before normalisation.

    Parameters
    ----------
    audio : float32, shape = (samples,), 16 kHz; at least two samples

    Returns
    -------
    float32, shape = (64, options.num_frames(samples))
    """
    emphasised = audio.astype(np.float32)
    emphasised[1:] -= np.float32(PREEMPHASIS) * audio[:-1]
    padded = np.pad(emphasised, FFT_LENGTH // 2, mode=PADDINGS[options.padding])
    # The Hann window sits in the middle of the FFT frame, so only its 320 samples are read;
    # zeros after instead of around them change the phase alone, which the power does not see.
    margin = (FFT_LENGTH - WINDOW_LENGTH) // 2
    frames = np.lib.stride_tricks.sliding_window_view(padded[margin:], WINDOW_LENGTH)[::HOP_LENGTH]
    spectrum = np.asarray(scipy.fft.rfft(frames[: options.num_frames(len(audio))] * _window(), n=FFT_LENGTH))
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(_filterbank() @ power.T + np.float32(options.log_offset))


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


@dataclass(frozen=True)
class SpeechFeatures(ListeningStep):
    """Audio at any sample rate -> normalised log-mel features padded to a bucket, and how many frames are valid."""

    buckets: Sequence[int]  # frames
    noise_floor_decibels: float | None = None  # see `raise_noise_floor`; NVIDIA's networks were trained without
    log_mel_file: str | None = None  # `convai export` of Jasper writes it: options its network was trained with

    def __post_init__(self):
        super().__post_init__()
        check_buckets("buckets", self.buckets)
        if self.max_seconds * FRAMES_PER_SECOND >= self.buckets[-1]:  # resampling may round up into one more frame
            raise ValueError(
                f"max_seconds: got {self.max_seconds}; allowed is less than "
                f"{self.buckets[-1] / FRAMES_PER_SECOND}, which the last bucket holds"
            )
        if self.noise_floor_decibels is not None and not -150 <= self.noise_floor_decibels < 0:
            raise ValueError(f"noise_floor_decibels: got {self.noise_floor_decibels}; allowed is -150 to below 0")
        _filterbank()  # at load rather than with the first request
        _ = self.log_mel_options  # a missing or wrong file shall fail at start, not at the first request

    @cached_property
    def log_mel_options(self) -> LogMelOptions:
        if self.log_mel_file is None:
            return NVIDIA_LOG_MEL
        try:
            return LogMelOptions(**json.loads(Path(self.log_mel_file).read_text(encoding="utf-8")))
        except TypeError as error:
            raise ValueError(f"log_mel_file: {error}") from error

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
        audio = self.heard(question_audio, sample_rate)
        valid = np.zeros((NUM_FEATURES, 0), np.float32) if audio is None else self.normalized(self.log_mel(audio))
        num_valid = valid.shape[1]
        features = np.zeros((NUM_FEATURES, smallest_bucket(num_valid, self.buckets, "frames")), np.float32)
        features[:, :num_valid] = valid
        return {"features": features, "features_length": np.array([num_valid], np.int32)}

    def log_mel(self, audio: Array) -> Array:
        return log_mel(audio, self.log_mel_options)

    def normalized(self, log_mel: Array) -> Array:
        """Raise the noise floor, if there is to be one, and normalise; float32, shape = (64, frames >= 2)."""
        if self.noise_floor_decibels is not None:
            log_mel = raise_noise_floor(log_mel, self.noise_floor_decibels)
        return normalize(log_mel)
