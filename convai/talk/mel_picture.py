"""Log-mel spectrogram of spoken audio, as bytes that the page draws."""

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import HOP_LENGTH, mel_spectrogram

LOG_RANGE = (-11.5, 2.0)  # log magnitudes from silence to the loudest, drawn as 0 to 255


def mel_picture(audio: Array) -> bytes:
    """One byte per frame and band, frame after frame of 80 bytes.

    Parameters
    ----------
    audio : float32, shape = (samples,), 22,050 Hz, at least two samples
    """
    log_mel = mel_spectrogram(audio)[:, : -(-len(audio) // HOP_LENGTH)]
    low, high = LOG_RANGE
    levels = np.clip((log_mel - low) / (high - low), 0, 1)
    return (255 * levels.T).astype(np.uint8).tobytes()
