"""When each symbol is spoken, as the attention that Tacotron 2 should pay: the teacher's, in decoder steps."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from convai.audio.voice_mel import HOP_LENGTH
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ

SECONDS_PER_FRAME = HOP_LENGTH / VOICE_SAMPLE_RATE_HERTZ
PERIOD_STEPS = (15, 60)  # of the swing in `swung`


def target_attention(ends: Sequence[float] | np.ndarray, steps: int, frames_per_step: int) -> np.ndarray:
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


def swung(attention: Tensor, largest_swing: float, rng: np.random.Generator) -> Tensor:
    """Attention that now runs ahead and now lags behind, by up to so many steps, differently in every row.

    A network that is told of it, and still has to attend where the teacher does, learns to find its way back.

    Parameters
    ----------
    attention : float32, shape = (batch, steps, symbols), zero past each row's last step; the result stays where it was
    """
    batch, steps, _ = attention.shape
    swing, phase = rng.uniform(0, largest_swing, (batch, 1)), rng.uniform(0, 2 * np.pi, (batch, 1))
    period = rng.uniform(*PERIOD_STEPS, (batch, 1))
    shift = np.rint(swing * np.sin(2 * np.pi * np.arange(steps) / period + phase)).astype(np.int64)
    last = (attention.sum(2) > 0).sum(1, keepdim=True) - 1
    source = torch.from_numpy(np.arange(steps) + shift).clamp(min=0).minimum(last)
    return attention.gather(1, source.unsqueeze(2).expand_as(attention))
