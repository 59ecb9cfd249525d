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
from convai.backends.steps.checks import check_buckets, check_choice, check_range, check_text_size, choose_bucket
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

# A frame is active if its power is within 50 dB of the loudest, and also 12 dB above the noise or within 20 dB of the
# loudest. The noise is the level that the quietest tenth of the frames within 50 dB stays below.
ACTIVE_DECIBELS = 50.0
ABOVE_NOISE_DECIBELS = 12.0
ALWAYS_ACTIVE_DECIBELS = 20.0
NOISE_PERCENTILE = 10
SMOOTHING_FRAMES = 5
# Pauses up to twice this belong to the speech, as in the training. With 0.3 s the WER on speechocean762 rises by 0.8
# points; with 1 s the hum around a question counts again.
MARGIN_FRAMES = 70
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
    power = spectrum.real**2
    power += spectrum.imag**2
    return np.log(_filterbank() @ power.T + np.float32(options.log_offset))


def normalise_features(log_mel: Array, frames: Array | slice = slice(None)) -> Array:
    """Give every feature zero mean and unit variance over the selected frames; float32, shape = (64, frames >= 2)."""
    selected = log_mel[:, frames]
    mean = selected.mean(axis=1, keepdims=True)
    std = selected.std(axis=1, ddof=1, keepdims=True)
    return (log_mel - mean) / (std + np.float32(STD_OFFSET))


def raise_noise_floor(log_mel: Array, decibels: float, frames: Array | slice = slice(None)) -> Array:
    """Add a constant power to every feature, in decibels relative to the mean power of the frames; same shape.

    The pauses of synthetic speech are digital silence, those of recorded speech are not: without a common floor,
    normalisation makes different features of the same sounds. A relative floor keeps them independent of loudness.
    """
    power = np.exp(log_mel)
    floor = power[:, frames].mean() * 10 ** (decibels / 10)
    return np.log(power + np.float32(floor))  # np.logaddexp takes twenty times as long


def find_speech(log_mel: Array) -> Array:
    """Select the frames within 0.7 s of an active one, so that silence around speech does not count as part of it.

    Parameters
    ----------
    log_mel : float32, shape = (64, frames >= 2)

    Returns
    -------
    bool, shape = (frames,), at least two of them True
    """
    power = np.pad(np.exp(log_mel).sum(axis=0, dtype=np.float64), SMOOTHING_FRAMES // 2, mode="edge")
    smoothed = np.convolve(power, np.full(SMOOTHING_FRAMES, 1 / SMOOTHING_FRAMES), mode="valid")
    decibels = 10 * np.log10(smoothed)
    loudest = decibels.max()
    audible = decibels >= loudest - ACTIVE_DECIBELS
    noise = np.percentile(decibels[audible], NOISE_PERCENTILE)
    above_noise = decibels >= min(noise + ABOVE_NOISE_DECIBELS, loudest - ALWAYS_ACTIVE_DECIBELS)
    active = np.flatnonzero(audible & above_noise)
    frames = np.arange(len(decibels))
    before = active[np.searchsorted(active, frames, side="right") - 1]  # the last active frame up to each one, or any
    after = active[np.minimum(np.searchsorted(active, frames), len(active) - 1)]
    return np.minimum(np.abs(frames - before), np.abs(frames - after)) <= MARGIN_FRAMES


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

    def __call__(self, *, question_audio: Array, sample_rate: Array, context: str = "") -> dict[str, Array]:
        """Compute the features of one question.

        Parameters
        ----------
        question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
        sample_rate : int32, shape = (1,), hertz
        context : text that the question is about, of which only the size is checked

        Returns
        -------
        features : float32, shape = (64, bucket), zero from the first invalid frame on
        features_length : int32, shape = (1,), valid frames; 0 for silence
        """
        check_text_size("context", context)
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
        """Normalise; with a noise floor, as the default weights were trained: over speech, and after raising the floor.

        Parameters
        ----------
        log_mel : float32, shape = (64, frames >= 2)

        Returns
        -------
        float32, same shape
        """
        if self.noise_floor_decibels is None:
            return normalise_features(log_mel)
        speech = find_speech(log_mel)
        return normalise_features(raise_noise_floor(log_mel, self.noise_floor_decibels, speech), speech)
