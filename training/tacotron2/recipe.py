"""The recipe of Tacotron 2's default weights."""

from dataclasses import dataclass, field, replace

from convai.networks.tacotron2.config import CONFIGS, Tacotron2Config
from training.common.training import Recipe, Schedule, supports_bfloat16
from training.tacotron2.data import SECONDS_PER_FRAME

DROPOUTS = ("p_encoder_dropout", "p_attention_dropout", "p_decoder_dropout", "p_postnet_dropout")


@dataclass(frozen=True)
class Tacotron2Recipe(Recipe):
    """
    Attributes
    ----------
    first_steps, first_longest_seconds : the first steps see no longer clip
    largest_shift : decoder steps by which the given attention may be off, see `shift_attention`
    sequential_from, sequential_share : from this step on, this share of batches is decoded step by step with the
        network's own attention, as in serving; that takes four times as long
    delta_weight, gate_weight, attention_weight : of the losses, beside the mel's
    """

    schedule: Schedule = Schedule(steps=40_000, peak_rate=1.5e-3, decay_share=0.4)
    size: str = "mini"
    batch_frames: int = 3_000  # 35 seconds, padding included
    first_steps: int = 1_000
    first_longest_seconds: float = 2.5
    largest_shift: float = 3.0
    sequential_from: int = 300
    sequential_share: float = 0.06
    delta_weight: float = 0.5
    gate_weight: float = 0.5
    gate_positive_weight: float = 5.0  # one step in a hundred ends a clip
    attention_weight: float = 0.2
    bfloat16: bool = field(default_factory=supports_bfloat16)

    @property
    def config(self) -> Tacotron2Config:
        """The network without dropout, except the prenet's: a small network with unlimited speech blurs with it."""
        return replace(CONFIGS[self.size], **dict.fromkeys(DROPOUTS, 0.0))

    @property
    def first_longest_frames(self) -> int:
        return round(self.first_longest_seconds / SECONDS_PER_FRAME)
