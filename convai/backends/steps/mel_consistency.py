"""Post-filter of the voice: keeps the phases of the vocoder's audio and corrects its magnitudes until they fit the mel.

A small vocoder errs in the levels of bands much more than in pitch, and the mel holds these levels. NVIDIA's denoiser
is the alternative.
"""

from functools import cache

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import filterbank, istft, stft

MIN_ENERGY = 1e-9  # far below the mel of silence; avoids 0 / 0


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
    wanted = np.exp(np.append(mel, mel[:, -1:], axis=1))  # the last window sits on the very end of the audio
    for _ in range(iterations):
        spectrum = stft(audio)
        actual = filterbank() @ np.abs(spectrum)
        audio = istft(spectrum * (_spread() @ (wanted / np.maximum(actual, np.float32(MIN_ENERGY)))))
    return audio


def magnitudes_like(mel: Array) -> Array:
    """Magnitudes of a spectrum with this mel, smooth within each band: float32, shape = (513, frames)."""
    return _spread() @ (np.exp(mel) / filterbank().sum(axis=1, keepdims=True))


@cache
def _spread() -> Array:
    """Weights of the mel bands' gains at each frequency: float32, shape = (513, 80), rows sum to 1."""
    weights = filterbank().T.copy()
    last = np.flatnonzero(weights.any(axis=1))[-1]
    weights[0, 0] = 1.0  # no filter covers the constant part, nor the frequencies above 8 kHz
    weights[last + 1 :, -1] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)
