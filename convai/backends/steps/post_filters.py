"""Post-filters of the vocoder's audio: consistency with the mel, or NVIDIA's denoiser.

A small vocoder errs in the levels of bands much more than in pitch. `fit_to_mel` keeps the phases of its audio and
corrects the magnitudes until they fit the mel. `denoise` subtracts the hum that WaveGlow adds to all audio, silence
included; source: `denoiser.py` of WaveGlow in NVIDIA's DeepLearningExamples.
"""

from functools import cache

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import filterbank, istft, stft

MIN_MAGNITUDE = 1e-9  # far below the mel of silence; avoids 0 / 0


def fit_to_mel(audio: Array, mel: Array, iterations: int) -> Array:
    """Bring the mel of `audio` closer to `mel`; audio that already has this mel stays unchanged.

    Every pass multiplies each magnitude by the ratio of wanted to actual energy of the mel bands around it (the
    multiplicative update of non-negative factorisation) and returns to the time domain, which makes the phases
    consistent. Starting from the vocoder's magnitudes, not from the pseudo-inverse of the mel filters, keeps the
    harmonics between the bands.

    Parameters
    ----------
    audio : float32, shape = (256 * frames,)
    mel : float32, shape = (80, frames), log-mel magnitudes
    iterations : passes

    Returns
    -------
    float32, shape = (256 * frames,)
    """
    # Frame by frame, as the transforms lie in memory, and only as far up as the bands reach.
    wanted = np.exp(np.append(mel, mel[:, -1:], axis=1)).T  # the last window sits on the very end of the audio
    covered = _count_covered()
    bands, spread = filterbank()[:, :covered].T, _spread()[:covered].T
    for _ in range(iterations):
        spectrum = stft(audio).T
        actual = np.abs(spectrum[:, :covered]) @ bands
        gains = wanted / np.maximum(actual, np.float32(MIN_MAGNITUDE))
        spectrum[:, :covered] *= gains @ spread
        spectrum[:, covered:] *= gains[:, -1:]
        audio = istft(spectrum.T)
    return audio


def magnitudes_like(mel: Array) -> Array:
    """Magnitudes of a spectrum with this mel, smooth within each band: float32, shape = (513, frames)."""
    return _spread() @ (np.exp(mel) / filterbank().sum(axis=1, keepdims=True))


@cache
def _count_covered() -> int:
    """Number of frequencies up to the last one that a mel filter covers."""
    return int(np.flatnonzero(filterbank().any(axis=0))[-1]) + 1


@cache
def _spread() -> Array:
    """Weights of the mel bands' gains at each frequency: float32, shape = (513, 80), rows sum to 1."""
    weights = filterbank().T.copy()
    weights[0, 0] = 1.0  # no filter covers the constant part, nor the frequencies above 8 kHz
    weights[_count_covered() :, -1] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


def denoise(audio: Array, bias: Array, strength: float) -> Array:
    """Subtract a share of the bias from every magnitude, down to 0; phases stay.

    Parameters
    ----------
    audio : float32, shape = (256 * frames,)
    bias : float32, shape = (513,), magnitudes of the vocoder's audio of an empty mel without noise
    strength : share of the bias to subtract, usually 0.01

    Returns
    -------
    float32, shape = (256 * frames,)
    """
    spectrum = stft(audio)
    magnitudes = np.abs(spectrum)
    kept = np.maximum(magnitudes - np.float32(strength) * bias[:, None], 0)
    return istft(spectrum * (kept / np.maximum(magnitudes, np.float32(MIN_MAGNITUDE))))
