"""The log-mel spectrogram of what was spoken, as bytes for the page to draw."""

from functools import cache

import numpy as np

from convai.arrays import Array
from convai.audio.mel_filters import mel_filterbank
from convai.description.pipeline import NUM_MELS, VOICE_HOP_LENGTH, VOICE_SAMPLE_RATE_HERTZ

WINDOW_LENGTH = 1024
MAX_HERTZ = 8_000.0
LOG_RANGE = (-11.5, 2.0)  # log magnitudes from silence to the loudest, drawn as 0 to 255


def mel_picture(audio: Array) -> bytes:
    """One byte per frame and band of `audio`, float32, shape = (samples,), 22,050 Hz; frame after frame of 80 bytes."""
    padded = np.pad(audio, (0, WINDOW_LENGTH))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_LENGTH)[: len(audio) : VOICE_HOP_LENGTH]
    magnitudes = np.abs(np.fft.rfft(frames * np.hanning(WINDOW_LENGTH))) @ filterbank().T
    low, high = LOG_RANGE
    levels = (np.log(np.maximum(magnitudes, np.exp(low))) - low) / (high - low)
    return (255 * np.minimum(levels, 1)).astype(np.uint8).tobytes()


@cache
def filterbank() -> Array:
    return mel_filterbank(VOICE_SAMPLE_RATE_HERTZ, WINDOW_LENGTH, NUM_MELS, MAX_HERTZ)
