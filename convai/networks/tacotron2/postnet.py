"""Tacotron 2's postnet, which corrects the decoded mel by the frames on both sides."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import normalised_convolution


class Postnet(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        hidden = config.postnet_n_convolutions - 1
        channels = [config.n_mel_channels, *[config.postnet_embedding_dim] * hidden, config.n_mel_channels]
        gains = ["tanh"] * hidden + ["linear"]
        self.p_dropout = config.p_postnet_dropout
        self.convolutions = nn.ModuleList(
            normalised_convolution(channels[i], channels[i + 1], config.postnet_kernel_size, gain)
            for i, gain in enumerate(gains)
        )

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        """Compute the correction to add to the mel; it depends on valid frames alone.

        Parameters
        ----------
        mel : float, shape = (batch, n_mel_channels, frames)
        mask : bool, shape = (batch, frames), true for valid frames

        Returns
        -------
        float, shape = (batch, n_mel_channels, frames)
        """
        columns = mask.unsqueeze(1)
        for i, convolution in enumerate(self.convolutions):
            if i > 0:
                mel = torch.tanh(mel)
            mel = F.dropout(convolution(mel * columns), self.p_dropout, self.training)
        return mel
