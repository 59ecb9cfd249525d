"""The recipe of Tacotron 2's default weights: every number that training depends on, besides the recordings."""

from dataclasses import dataclass, field, replace

from convai.errors import InvalidArgument
from convai.networks.tacotron2.config import CONFIGS, Tacotron2Config
from training.common.precision import multiplies_bfloat16
from training.common.training import Schedule
from training.tacotron2.alignment import SECONDS_PER_FRAME


@dataclass(frozen=True)
class Recipe:
    """
    Attributes
    ----------
    dropout : of encoder, attention, decoder and postnet; the prenet's is the configuration's. Speech is made without
        end, so so small a network cannot learn it by heart, and blurs what it may not see
    first_steps, first_longest_seconds : at first, for so many steps, no clip is longer
    largest_swing : decoder steps by which the attention that a batch is told of may be off, see `swung`
    sequential_from, sequential_share : from this step on, this share of batches is decoded step by step, attention the
        network's own, as in service; costs four times as much
    delta_weight, gate_weight, attention_weight : of the losses beside the mel's
    """

    size: str = "mini"
    dropout: float = 0.0
    batch_frames: int = 3_000  # 35 seconds, padding included
    first_steps: int = 1_000
    first_longest_seconds: float = 2.5
    largest_swing: float = 3.0
    sequential_from: int = 300
    sequential_share: float = 0.06
    delta_weight: float = 0.5
    gate_weight: float = 0.5
    gate_positive_weight: float = 5.0  # one step in a hundred ends a clip
    attention_weight: float = 0.2
    bfloat16: bool = field(default_factory=multiplies_bfloat16)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=40_000, peak_rate=1.5e-3, decay_share=0.4))

    def __post_init__(self):
        if self.size not in CONFIGS:
            raise InvalidArgument(f"size must be one of {', '.join(CONFIGS)}, got {self.size!r}")
        if not 0 <= self.sequential_share <= 1:
            raise InvalidArgument(f"sequential_share must be from 0 to 1, got {self.sequential_share}")
        if self.batch_frames < 1 or self.first_longest_seconds <= 0:
            raise InvalidArgument(
                "batch_frames and first_longest_seconds must be above 0, "
                f"got {self.batch_frames}, {self.first_longest_seconds}"
            )

    @property
    def config(self) -> Tacotron2Config:
        names = ("p_encoder_dropout", "p_attention_dropout", "p_decoder_dropout", "p_postnet_dropout")
        return replace(CONFIGS[self.size], **dict.fromkeys(names, self.dropout))

    @property
    def first_longest_frames(self) -> int:
        return round(self.first_longest_seconds / SECONDS_PER_FRAME)
