"""First step of recognition: the question's audio becomes the normalised log-mel features that Jasper reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from convai.arrays import Array
from convai.audio.mel_filters import mel_filterbank
from convai.audio.spectrogram import stft
from convai.backends.steps.checks import check_buckets, check_choice, check_range, choose_bucket
from convai.backends.steps.question_audio import RecogniserStep, read_audio
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import NUM_FEATURES, SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument

HOP_LENGTH = 160  # 10 ms
WINDOW_LENGTH = 320  # 20 ms
FFT_LENGTH = 512
FRAMES_PER_SECOND = SAMPLE_RATE_HERTZ // HOP_LENGTH
PREEMPHASIS = 0.97
STD_OFFSET = 1e-5
PADDINGS: Mapping[str, Literal["reflect", "constant"]] = {"reflect": "reflect", "zeros": "constant"}  # NumPy's names


@dataclass(frozen=True)
class LogMelOptions:
    """Options in which networks trained on these features differ; the defaults are those of NVIDIA's Jasper.

    Attributes
    ----------
    log_offset : power added before the logarithm
    padding : signal before and after the audio: its mirror image ("reflect") or "zeros"
    partial_frame : whether samples after the last whole hop have a frame of their own
    """

    log_offset: float = 1e-20
    padding: str = "reflect"
    partial_frame: bool = True

    def __post_init__(self):
        if not 0 < self.log_offset < 1:
            raise InvalidArgument(f"log_offset: expected above 0 and below 1, got {self.log_offset}")
        check_choice("padding", self.padding, tuple(PADDINGS))

    def num_frames(self, num_samples: int) -> int:
        """Frames that hold signal: one per 10 ms hop begun, or per whole hop."""
        return -(-num_samples // HOP_LENGTH) if self.partial_frame else num_samples // HOP_LENGTH


NVIDIA_LOG_MEL = LogMelOptions()


def log_mel_spectrogram(audio: Array, options: LogMelOptions = NVIDIA_LOG_MEL) -> Array:
    """Compute the log-mel power spectrum of NVIDIA's Jasper, without dither and before normalisation.

    Parameters
    ----------
    audio : float32, shape = (samples,), 16 kHz; at least two samples

    Returns
    -------
    float32, shape = (64, options.num_frames(samples))
    """
    emphasised = audio.astype(np.float32)
    emphasised[1:] -= np.float32(PREEMPHASIS) * audio[:-1]
    spectrum = stft(emphasised, _window(), HOP_LENGTH, FFT_LENGTH, PADDINGS[options.padding])
    spectrum = spectrum[: options.num_frames(len(audio))]
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(_filterbank() @ power.T + np.float32(options.log_offset))


def normalise_features(log_mel: Array) -> Array:
    """Give every feature zero mean and unit variance over its frames; float32, shape = (64, frames >= 2)."""
    mean = log_mel.mean(axis=1, keepdims=True)
    std = log_mel.std(axis=1, ddof=1, keepdims=True)
    return (log_mel - mean) / (std + np.float32(STD_OFFSET))


def raise_noise_floor(log_mel: Array, decibels: float) -> Array:
    """Add a constant power to every feature, in decibels relative to the mean power of all; same shape.

    The pauses of synthetic speech are digital silence, those of recorded speech are not: without a common floor,
    normalisation makes different features of the same sounds. A relative floor keeps them independent of loudness.
    """
    floor = np.log(np.exp(log_mel).mean()) + decibels * np.log(10) / 10
    return np.logaddexp(log_mel, floor, dtype=np.float32)


@cache
def _window() -> Array:
    return np.hanning(WINDOW_LENGTH).astype(np.float32)  # symmetric, unlike the default of most STFTs


@cache
def _filterbank() -> Array:
    return mel_filterbank(SAMPLE_RATE_HERTZ, FFT_LENGTH, NUM_FEATURES, max_hertz=SAMPLE_RATE_HERTZ / 2)


@dataclass(frozen=True)
class SpeechFeatures(RecogniserStep):
    """Audio at any sample rate -> normalised log-mel features padded to a bucket, and the number of valid frames."""

    buckets: Sequence[int]  # frames
    noise_floor_decibels: float | None = None  # see `raise_noise_floor`; NVIDIA's networks were trained without
    log_mel_file: str | None = None  # options of the network's features, written by `convai export` of Jasper

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        shortest = int(MAX_QUESTION_SECONDS * FRAMES_PER_SECOND) + 1  # resampling may round up into one more frame
        if self.buckets[-1] < shortest:
            raise InvalidArgument(f"buckets: expected a last one of at least {shortest}, got {self.buckets[-1]}")
        if self.noise_floor_decibels is not None:
            check_range("noise_floor_decibels", self.noise_floor_decibels, -150, 0)
        _filterbank()  # at load rather than with the first request
        _ = self.log_mel_options  # fails at load if the file is missing or wrong

    @cached_property
    def log_mel_options(self) -> LogMelOptions:
        if self.log_mel_file is None:
            return NVIDIA_LOG_MEL
        try:
            return LogMelOptions(**json.loads(Path(self.log_mel_file).read_text(encoding="utf-8")))
        except TypeError as error:
            raise InvalidArgument(f"log_mel_file: {error}") from error

    def __call__(self, *, question_audio: Array, sample_rate: Array) -> dict[str, Array]:
        """Compute the features of one question.

        Parameters
        ----------
        question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
        sample_rate : int32, shape = (1,), hertz

        Returns
        -------
        features : float32, shape = (64, bucket), zero from the first invalid frame on
        features_length : int32, shape = (1,), valid frames; 0 for silence
        """
        audio = read_audio(question_audio, sample_rate)
        valid = np.zeros((NUM_FEATURES, 0), np.float32)
        if audio is not None:
            valid = self.normalise(log_mel_spectrogram(audio, self.log_mel_options))
        num_valid = valid.shape[1]
        bucket = choose_bucket("question_audio", num_valid, self.buckets, "frames")
        features = np.zeros((NUM_FEATURES, bucket), np.float32)
        features[:, :num_valid] = valid
        return {"features": features, "features_length": np.array([num_valid], np.int32)}

    def normalise(self, log_mel: Array) -> Array:
        """Raise the noise floor, if one is configured, and normalise; float32, shape = (64, frames >= 2)."""
        if self.noise_floor_decibels is not None:
            log_mel = raise_noise_floor(log_mel, self.noise_floor_decibels)
        return normalise_features(log_mel)
