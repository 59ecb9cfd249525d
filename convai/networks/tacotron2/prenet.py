"""Tacotron 2's prenet, through which the decoder reads the frames of its last step."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import LinearNorm


class Prenet(nn.Module):
    """Two layers with dropout that is always on: it keeps the decoder from merely copying its last frames."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        in_dim = config.n_mel_channels * config.n_frames_per_step
        self.p_dropout = config.p_prenet_dropout
        self.layers = nn.ModuleList(
            LinearNorm(dim, config.prenet_dim, bias=False) for dim in (in_dim, config.prenet_dim)
        )
        self.register_buffer("dropout_table", draw_dropout_table(config), persistent=False)

    def forward(self, frames: Tensor, step: int) -> Tensor:
        """Run one step of inference. The table is fixed, so that a result depends on its request alone.

        Parameters
        ----------
        frames : float, shape = (batch, frames_dim)
        step : number of the step

        Returns
        -------
        float, shape = (batch, prenet_dim)
        """
        for i, layer in enumerate(self.layers):
            frames = F.relu(layer(frames)) * self.dropout_table[step, i]
        return frames

    def teacher_forced(self, frames: Tensor) -> Tensor:
        """Run many steps of training: float, shape = (..., frames_dim) -> (..., prenet_dim)."""
        for layer in self.layers:
            frames = F.dropout(F.relu(layer(frames)), self.p_dropout, training=True)
        return frames


def draw_dropout_table(config: Tacotron2Config) -> Tensor:
    """Draw the factors of all units: float32, shape = (max_decoder_steps, 2, prenet_dim), 0 where a unit is dropped."""
    generator = torch.Generator().manual_seed(config.prenet_dropout_seed)
    draws = torch.rand(config.max_decoder_steps, 2, config.prenet_dim, generator=generator, device="cpu")
    return (draws >= config.p_prenet_dropout).float() / (1 - config.p_prenet_dropout)
