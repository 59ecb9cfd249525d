"""Mel spectrogram of the voice, as Tacotron 2 writes and WaveGlow reads it, and the transforms behind it."""

from functools import cache, lru_cache

import numpy as np
import scipy.fft

from convai.arrays import Array
from convai.audio import spectrogram
from convai.audio.mel_filters import mel_filterbank
from convai.description.pipeline import NUM_MELS, VOICE_HOP_LENGTH, VOICE_SAMPLE_RATE_HERTZ

FFT_LENGTH = 1024  # also the length of the window
HOP_LENGTH = VOICE_HOP_LENGTH
HOPS_PER_WINDOW = FFT_LENGTH // HOP_LENGTH
MAX_HERTZ = 8_000.0
MIN_MAGNITUDE = 1e-5
SILENT_LOG_MEL = float(np.log(MIN_MAGNITUDE))


def mel_spectrogram(audio: Array) -> Array:
    """Compute the log-mel magnitudes of audio.

    Parameters
    ----------
    audio : float32, shape = (samples,), 22,050 Hz, at least two samples

    Returns
    -------
    float32, shape = (80, samples // 256 + 1); silence is log(1e-5)
    """
    magnitudes = np.abs(stft(audio))
    return np.log(np.maximum(filterbank() @ magnitudes, np.float32(MIN_MAGNITUDE)))


def stft(audio: Array) -> Array:
    """Centred spectrum with a periodic Hann window: complex64, shape = (513, samples // 256 + 1)."""
    return spectrogram.stft(audio.astype(np.float32, copy=False), _window(), HOP_LENGTH, FFT_LENGTH).T


def istft(spectrum: Array) -> Array:
    """Least-squares inverse of `stft`: float32, shape = (256 * (frames - 1),)."""
    frames = np.asarray(scipy.fft.irfft(spectrum.T, n=FFT_LENGTH, axis=1))
    frames *= _window()
    half = FFT_LENGTH // 2
    return (_overlap_add(frames) / _overlapping_energy(len(frames)))[half:-half]


@lru_cache(1)  # a post-filter asks several times for the same
def _overlapping_energy(num_frames: int) -> Array:
    """The sum of all windows' squares at each sample: float32, shape = (256 * (num_frames + 3),)."""
    energy = np.broadcast_to(_window() ** 2, (num_frames, FFT_LENGTH))
    return np.maximum(_overlap_add(energy), np.float32(1e-8))


def _overlap_add(frames: Array) -> Array:
    hops = np.zeros((len(frames) + HOPS_PER_WINDOW - 1, HOP_LENGTH), np.float32)
    parts = frames.reshape(len(frames), HOPS_PER_WINDOW, HOP_LENGTH)
    for offset in range(HOPS_PER_WINDOW):
        hops[offset : offset + len(frames)] += parts[:, offset]
    return hops.ravel()


@cache
def _window() -> Array:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_LENGTH) / FFT_LENGTH)).astype(np.float32)


@cache
def filterbank() -> Array:
    """Mel filters on Slaney's scale: float32, shape = (80, 513)."""
    return mel_filterbank(VOICE_SAMPLE_RATE_HERTZ, FFT_LENGTH, NUM_MELS, MAX_HERTZ)
