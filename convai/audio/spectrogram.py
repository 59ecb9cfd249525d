"""Short-time Fourier transform, shared by the recogniser's features and the voice's mel."""

from typing import Literal

import numpy as np
import scipy.fft

from convai.arrays import Array


def stft(
    audio: Array, window: Array, hop_length: int, fft_length: int, padding: Literal["reflect", "constant"] = "reflect"
) -> Array:
    """Transform frames that are centred on every multiple of `hop_length`.

    A window shorter than `fft_length` is followed by zeros rather than surrounded by them, which changes only the
    phases.

    Parameters
    ----------
    audio : float32, shape = (samples,), at least two samples
    window : float32, shape = (window_length,), even and at most `fft_length`
    hop_length, fft_length : samples
    padding : signal before and after `audio`: its mirror image ("reflect") or zeros ("constant")

    Returns
    -------
    complex64, shape = (samples // hop_length + 1, fft_length // 2 + 1)
    """
    padded = np.pad(audio, len(window) // 2, mode=padding)
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::hop_length]
    return np.asarray(scipy.fft.rfft(frames * window, n=fft_length, axis=1))
