"""Location-sensitive attention: which symbols the decoder reads at a step, given what it has read so far."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import ConvNorm, LinearNorm


class EncodedText(NamedTuple):
    """What stays the same over all decoder steps of a batch.

    memory : float, shape = (batch, symbols, encoder_embedding_dim)
    keys : float, shape = (batch, symbols, attention_dim)
    padding : bool, shape = (batch, symbols), true past a row's last symbol
    """

    memory: Tensor
    keys: Tensor
    padding: Tensor


class LocationLayer(nn.Module):
    """Features of where attention was: of the last step's weights and of their sum over all steps."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        filters = config.attention_location_n_filters
        self.location_conv = ConvNorm(2, filters, config.attention_location_kernel_size, bias=False)
        self.location_dense = LinearNorm(filters, config.attention_dim, bias=False, gain="tanh")

    def forward(self, weights: Tensor) -> Tensor:
        return self.location_dense(self.location_conv(weights).transpose(1, 2))


class Attention(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        self.query_layer = LinearNorm(config.attention_rnn_dim, config.attention_dim, bias=False, gain="tanh")
        self.memory_layer = LinearNorm(config.encoder_embedding_dim, config.attention_dim, bias=False, gain="tanh")
        self.v = LinearNorm(config.attention_dim, 1, bias=False)
        self.location_layer = LocationLayer(config)

    def forward(self, query: Tensor, text: EncodedText, past_weights: Tensor) -> tuple[Tensor, Tensor]:
        """
        query : float, shape = (batch, attention_rnn_dim)
        past_weights : float, shape = (batch, 2, symbols): of the last step, and summed over all steps

        Returns the context, shape = (batch, encoder_embedding_dim), and the weights, shape = (batch, symbols).
        """
        location = self.location_layer(past_weights)
        energies = self.v(torch.tanh(self.query_layer(query).unsqueeze(1) + location + text.keys)).squeeze(-1)
        weights = torch.softmax(energies.masked_fill(text.padding, -float("inf")), dim=1)
        return torch.bmm(weights.unsqueeze(1), text.memory).squeeze(1), weights
