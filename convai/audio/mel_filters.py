"""Mel filters on Slaney's scale, which Jasper, Tacotron 2 and WaveGlow were trained with."""

import numpy as np

from convai.arrays import Array

LINEAR_MELS_PER_HERTZ = 3 / 200  # up to 1 kHz
BREAK_HERTZ = 1_000.0
BREAK_MELS = BREAK_HERTZ * LINEAR_MELS_PER_HERTZ
LOG_MELS_PER_NEPER = 27 / np.log(6.4)  # above: 27 mels for each factor of 6.4


def mel_frequencies(count: int, max_hertz: float) -> Array:
    """`count` frequencies from 0 to `max_hertz`, evenly spaced in mels: float64, hertz, shape = (count,)."""
    mels = np.linspace(0.0, hertz_to_mels(max_hertz), count)
    logarithmic = BREAK_HERTZ * np.exp((mels - BREAK_MELS) / LOG_MELS_PER_NEPER)
    return np.where(mels < BREAK_MELS, mels / LINEAR_MELS_PER_HERTZ, logarithmic)


def hertz_to_mels(hertz: float) -> float:
    if hertz < BREAK_HERTZ:
        return hertz * LINEAR_MELS_PER_HERTZ
    return BREAK_MELS + LOG_MELS_PER_NEPER * float(np.log(hertz / BREAK_HERTZ))


def mel_filterbank(sample_rate_hertz: int, fft_length: int, num_mels: int, max_hertz: float) -> Array:
    """Triangular filters over the bins of a spectrum, each of area 1 over its width in hertz.

    Returns
    -------
    float32, shape = (num_mels, fft_length // 2 + 1)
    """
    bins = np.fft.rfftfreq(fft_length, 1 / sample_rate_hertz)
    edges = mel_frequencies(num_mels + 2, max_hertz)
    triangles = [
        np.interp(bins, (low, centre, high), (0.0, 2 / (high - low), 0.0))
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    return np.array(triangles, np.float32)
