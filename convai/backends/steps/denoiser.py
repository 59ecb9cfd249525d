"""NVIDIA's post-filter of the voice: takes the hum out that WaveGlow adds to everything, silence included.

Source: `denoiser.py` of WaveGlow in NVIDIA's DeepLearningExamples.
"""

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import istft, stft

MIN_MAGNITUDE = 1e-9  # avoids 0 / 0


def denoise(audio: Array, bias: Array, strength: float) -> Array:
    """Take a share of the bias off every magnitude, down to none at all; phases stay.

    Parameters
    ----------
    audio : float32, shape = (256 * frames,)
    bias : float32, shape = (513,), magnitudes of what the vocoder says to an empty mel without noise
    strength : share of the bias to take off, usually 0.01

    Returns
    -------
    float32, shape = (256 * frames,)
    """
    spectrum = stft(audio)
    magnitudes = np.abs(spectrum)
    kept = np.maximum(magnitudes - np.float32(strength) * bias[:, None], 0)
    return istft(spectrum * (kept / np.maximum(magnitudes, np.float32(MIN_MAGNITUDE))))
