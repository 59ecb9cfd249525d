"""NVIDIA's post-filter of the voice: subtracts the hum that WaveGlow adds to all audio, silence included.

Source: `denoiser.py` of WaveGlow in NVIDIA's DeepLearningExamples.
"""

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import istft, stft

MIN_MAGNITUDE = 1e-9  # avoids 0 / 0


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
