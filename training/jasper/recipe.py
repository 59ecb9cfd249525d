"""The recipe that makes Jasper's default weights: every number that training depends on, besides the recordings."""

from dataclasses import dataclass, field

from convai.backends.steps.speech_features import FRAMES_PER_SECOND
from convai.errors import InvalidArgument
from convai.networks.jasper.config import CONFIGS
from training.common.batches import BatchLimits
from training.common.precision import multiplies_bfloat16
from training.common.training import Schedule


@dataclass(frozen=True)
class Recipe:
    """
    CTC answers nothing but blanks for some hundred steps. Short clips in small batches get it past that quickly,
    hence the limits of the first steps.
    """

    size: str = "small"
    dropout: float = 0.0  # speech is varied without end, so this network cannot learn it by heart
    first_steps: int = 600
    first_batch_seconds: float = 20.0
    first_longest_seconds: float = 2.6
    batch_seconds: float = 128.0  # Muon takes as long for a small batch as for a large one
    longest_seconds: float = 20.0
    bfloat16: bool = field(default_factory=multiplies_bfloat16)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            steps=20_000, peak_rate=2e-3, decay_share=0.4, weight_decay=1e-2, average_decay=0.997
        )
    )

    def __post_init__(self):
        if self.size not in CONFIGS:
            raise InvalidArgument(f"size must be one of {', '.join(CONFIGS)}, got {self.size!r}")

    @property
    def limits(self) -> BatchLimits:
        return in_frames(self.batch_seconds, self.longest_seconds)

    @property
    def first_limits(self) -> BatchLimits:
        return in_frames(self.first_batch_seconds, self.first_longest_seconds)


def in_frames(batch_seconds: float, longest_seconds: float) -> BatchLimits:
    return BatchLimits(round(batch_seconds * FRAMES_PER_SECOND), longest_seconds * FRAMES_PER_SECOND)
