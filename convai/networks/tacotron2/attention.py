"""Location-sensitive attention: which symbols the decoder reads at a step, given what it has read so far."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import ConvNorm, LinearNorm


class LocationLayer(nn.Module):
    """Features of where attention was: of the last step's weights and of their sum over all steps."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        filters = config.attention_location_n_filters
        self.kernel_size = config.attention_location_kernel_size
        self.location_conv = ConvNorm(2, filters, self.kernel_size, bias=False)
        self.location_dense = LinearNorm(filters, config.attention_dim, bias=False, gain="tanh")

    def merged(self) -> Tensor:
        """Both layers as one matrix, since nothing stands between them: shape = (2 * kernel_size, attention_dim)."""
        dense, convolution = self.location_dense.linear_layer.weight, self.location_conv.conv.weight
        return torch.matmul(dense, convolution.flatten(1)).t()

    def surroundings(self, weights: Tensor, weights_sum: Tensor) -> Tensor:
        """What the convolution sees around each symbol: float, shape = (batch, symbols, 2 * kernel_size)."""
        both = F.pad(torch.stack((weights, weights_sum), 1), (self.kernel_size // 2, self.kernel_size // 2))
        return both.unfold(2, self.kernel_size, 1).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        self.query_layer = LinearNorm(config.attention_rnn_dim, config.attention_dim, bias=False, gain="tanh")
        self.memory_layer = LinearNorm(config.encoder_embedding_dim, config.attention_dim, bias=False, gain="tanh")
        self.v = LinearNorm(config.attention_dim, 1, bias=False)
        self.location_layer = LocationLayer(config)

    def forward(self, query: Tensor, keys: Tensor, location: Tensor, surroundings: Tensor, penalty: Tensor) -> Tensor:
        """
        Parameters
        ----------
        query : float, shape = (batch, attention_rnn_dim)
        keys : float, shape = (batch, symbols, attention_dim), the memory layer's output
        location, surroundings : as the location layer makes them
        penalty : float, shape = (batch, symbols), minus infinity past a row's last symbol, else zero

        Returns
        -------
        the weights: float, shape = (batch, symbols), with a sum of 1 in each row.
        """
        # tanh(x) = 2 sigmoid(2 x) - 1, where sigmoid takes a fifth of the time, and softmax is blind to the constant.
        # In place, because from 256 symbols on, allocating a result costs more than computing it.
        features = torch.baddbmm(keys, surroundings, location.expand(keys.size(0), -1, -1), beta=2.0, alpha=2.0)
        features = features.add_(self.query_layer(query).unsqueeze(1), alpha=2.0).sigmoid_()
        return torch.softmax(torch.add(penalty, self.v(features).squeeze(2), alpha=2.0), dim=1)
