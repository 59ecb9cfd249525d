"""The recipe that makes Jasper's default weights: every number that training depends on, besides the recordings."""

import math
from dataclasses import dataclass

from convai.networks.jasper.config import CONFIGS


@dataclass(frozen=True)
class Recipe:
    """Schedule and optimiser.

    CTC answers nothing but blanks for some hundred steps. Short clips in small batches get it past that quickly,
    hence the first epoch; the rate then stays level, so that training may be prolonged, and falls at the end.
    """

    size: str = "mini"
    dropout: float = 0.0  # speech is varied without end, so this network cannot learn it by heart
    steps: int = 20_000
    first_epoch_steps: int = 600
    first_batch_seconds: float = 20.0
    first_longest_seconds: float = 2.6
    batch_seconds: float = 96.0  # Muon takes as long for a small batch as for a large one
    longest_seconds: float = 9.0
    peak_rate: float = 1.5e-3
    warm_up_steps: int = 200
    decay_share: float = 0.25  # of all steps, during which the rate falls to zero
    weight_decay: float = 1e-2
    largest_gradient: float = 1.0
    average_decay: float = 0.997  # of the moving average of weights, which is what gets saved
    seed: int = 0
    bfloat16: bool = True  # twice as fast on processors with AVX512-BF16

    def __post_init__(self):
        if self.size not in CONFIGS:
            raise ValueError(f"size must be one of {', '.join(CONFIGS)}, got {self.size!r}")
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not 0 <= self.decay_share <= 1:
            raise ValueError(f"decay_share must be from 0 to 1, got {self.decay_share}")

    def rate(self, step: int) -> float:
        """Learning rate: a linear rise, a level stretch, and half a cosine down to zero at `steps`."""
        rise = min(1.0, (step + 1) / self.warm_up_steps)
        decay_steps = max(1.0, self.steps * self.decay_share)
        fallen = min(1.0, max(0.0, 1 - (self.steps - step) / decay_steps))
        return self.peak_rate * rise * (1 + math.cos(math.pi * fallen)) / 2
