"""Triangular mel filters on Slaney's scale, equal to librosa's.

Importing `librosa.filters` would cost every step that needs 80 triangles 120 MB and seconds of start-up.
"""

import numpy as np

LINEAR_HERTZ_PER_MEL = 200 / 3
KNEE_HERTZ = 1_000.0  # linear below, logarithmic above
KNEE_MEL = KNEE_HERTZ / LINEAR_HERTZ_PER_MEL
LOG_STEP = np.log(6.4) / 27  # 27 mels from 1,000 to 6,400 Hz


def hertz_to_mel(hertz: float) -> float:
    """Place of a frequency on the mel scale."""
    if hertz < KNEE_HERTZ:
        return hertz / LINEAR_HERTZ_PER_MEL
    return KNEE_MEL + np.log(hertz / KNEE_HERTZ) / LOG_STEP


def mel_to_hertz(mels: np.ndarray) -> np.ndarray:
    """Frequencies at places of the mel scale."""
    return np.where(
        mels < KNEE_MEL, mels * LINEAR_HERTZ_PER_MEL, KNEE_HERTZ * np.exp(LOG_STEP * (mels - KNEE_MEL))
    )


def mel_filters(sample_rate_hertz: int, fft_length: int, num_mels: int, max_hertz: float) -> np.ndarray:
    """Filters from 0 to `max_hertz`, each of unit area: float32, shape = (num_mels, fft_length // 2 + 1)."""
    bins = np.linspace(0, sample_rate_hertz / 2, fft_length // 2 + 1)
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(max_hertz), num_mels + 2))
    distances = edges[:, None] - bins
    widths = np.diff(edges)[:, None]
    rising, falling = -distances[:-2] / widths[:-1], distances[2:] / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
