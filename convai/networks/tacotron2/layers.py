"""Layers of Tacotron 2 with their initialisation, nested as in the keys of NVIDIA's checkpoints, and masks."""

import torch
from torch import Tensor, nn


class LinearNorm(nn.Module):
    """A linear map with Xavier initialisation for the nonlinearity that follows it: (..., in_dim) -> (..., out_dim)."""

    def __init__(self, in_dim: int, out_dim: int, bias: bool = True, gain: str = "linear"):
        super().__init__()
        self.linear_layer = nn.Linear(in_dim, out_dim, bias=bias)
        nn.init.xavier_uniform_(self.linear_layer.weight, gain=nn.init.calculate_gain(gain))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_layer(x)


class ConvNorm(nn.Module):
    """A convolution that keeps the length, with Xavier initialisation for the nonlinearity that follows it.

    Its input has shape = (batch, in_channels, length), its output (batch, out_channels, length).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, bias: bool = True, gain: str = "linear"):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
        nn.init.xavier_uniform_(self.conv.weight, gain=nn.init.calculate_gain(gain))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def normalised_convolution(in_channels: int, out_channels: int, kernel_size: int, gain: str) -> nn.Sequential:
    convolution = ConvNorm(in_channels, out_channels, kernel_size, gain=gain)
    return nn.Sequential(convolution, nn.BatchNorm1d(out_channels))


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """Mark the valid columns of rows.

    Parameters
    ----------
    lengths : int64, shape = (batch,)
    size : number of columns

    Returns
    -------
    bool, shape = (batch, size)
    """
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)
