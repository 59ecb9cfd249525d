"""Tacotron 2's prenet: what the decoder sees of the frames that it wrote last."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import LinearNorm


class Prenet(nn.Module):
    """Two layers whose dropout never rests: it keeps the decoder from merely copying its last frames."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        in_dim = config.n_mel_channels * config.n_frames_per_step
        self.p_dropout = config.p_prenet_dropout
        self.layers = nn.ModuleList(
            LinearNorm(dim, config.prenet_dim, bias=False) for dim in (in_dim, config.prenet_dim)
        )
        self.register_buffer("dropout_table", dropout_table(config), persistent=False)

    def forward(self, frames: Tensor, step: int) -> Tensor:
        """The inference of one step; a result depends on its request alone because the table is fixed."""
        for i, layer in enumerate(self.layers):
            frames = F.relu(layer(frames)) * self.dropout_table[step, i]
        return frames

    def teacher_forced(self, frames: Tensor) -> Tensor:
        for layer in self.layers:
            frames = F.dropout(F.relu(layer(frames)), self.p_dropout, training=True)
        return frames


def dropout_table(config: Tacotron2Config) -> Tensor:
    """Factors of the prenet's units: float32, shape = (max_decoder_steps, 2, prenet_dim), zero where one is dropped."""
    generator = torch.Generator().manual_seed(config.prenet_dropout_seed)
    draws = torch.rand(config.max_decoder_steps, 2, config.prenet_dim, generator=generator, device="cpu")
    return (draws >= config.p_prenet_dropout).float() / (1 - config.p_prenet_dropout)
