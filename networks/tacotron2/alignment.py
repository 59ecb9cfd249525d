"""When each symbol is spoken, as the attention that Tacotron 2 should pay: the teacher's, in decoder steps."""

import numpy as np

from convai.backends.glue.voice_mel import HOP_LENGTH
from convai.generator.pipeline import VOICE_SAMPLE_RATE_HERTZ

SECONDS_PER_FRAME = HOP_LENGTH / VOICE_SAMPLE_RATE_HERTZ


def target_attention(ends: np.ndarray, steps: int, frames_per_step: int) -> np.ndarray:
    """The share of each decoder step in which each symbol is spoken.

    Parameters
    ----------
    ends : float, shape = (symbols,), seconds at which each symbol ends, in ascending order

    Returns
    -------
    float32, shape = (steps, symbols), rows sum to 1; steps past the last symbol's end attend to it
    """
    # Frame f looks at the hop around its centre, which is f hops after the start.
    edges = (np.arange(steps + 1) * frames_per_step - 0.5) * SECONDS_PER_FRAME
    stops = np.array(ends, np.float64)
    starts = np.concatenate(([-np.inf], stops[:-1]))
    stops[-1] = np.inf
    shared = np.minimum(edges[1:, None], stops) - np.maximum(edges[:-1, None], starts)
    shared = np.maximum(shared, 0)
    return (shared / shared.sum(1, keepdims=True)).astype(np.float32)
