"""The recipe of BERT's default weights: every number that training depends on, besides encoder and questions."""

from dataclasses import dataclass, field

from convai.errors import InvalidArgument
from training.bert.data import QuestionForms
from training.common.precision import multiplies_bfloat16
from training.common.training import Schedule


@dataclass(frozen=True)
class Recipe:
    """
    Windows grow in the course of the steps: short crops around the answer cost a third of a full window, so most of
    the questions are seen in them; towards the end whole windows teach the positions and distractors of serving.

    Attributes
    ----------
    block_batches : drawn together, so that rows of like length share a batch
    """

    dropout: float = 0.0  # less than an epoch needs none
    batch_rows: int = 16  # questions
    block_batches: int = 16
    short_window_tokens: int = 112
    short_share_at_start: float = 0.95
    short_share_at_end: float = 0.15
    bfloat16: bool = field(default_factory=multiplies_bfloat16)
    forms: QuestionForms = field(default_factory=QuestionForms)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            steps=2_290,
            peak_rate=1.5e-4,
            warm_up_steps=92,
            decay_share=0.96,
            fall="linear",
            weight_decay=1e-2,
            average_decay=0.0,  # the last weights: the rate has fallen long enough to need no average
        )
    )

    def __post_init__(self):
        for name in ("batch_rows", "block_batches", "short_window_tokens"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("short_share_at_start", "short_share_at_end"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidArgument(f"{name} must be from 0 to 1, got {getattr(self, name)}")

    def short_share(self, step: int) -> float:
        """The share of short windows at a step."""
        progress = min(1.0, step / self.schedule.steps)
        return self.short_share_at_start + (self.short_share_at_end - self.short_share_at_start) * progress
