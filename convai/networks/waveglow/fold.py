"""Makes WaveGlow cheaper without changing its output, by multiplying consecutive linear maps.

In every flow:

    all conditioning layers                   -> one convolution of the mel
    `start` and the first dilated convolution -> one convolution of fewer channels
    each layer's skip and `end`               -> a skip of only the channels that the coupling needs
"""

import copy

import torch
from torch import Tensor, nn

from convai.networks.waveglow.layers import WN, repeat
from convai.networks.waveglow.model import WaveGlow


class FoldedWaveGlow(WaveGlow):
    """Has the outputs of the given network, from products of its weights. For inference only.

    NVIDIA's upsampling is not folded: the weights would grow from 0.3 to 2.2 GB in FP32 for 256 channels, and inference
    on a CPU would be slower.
    """

    def __init__(self, waveglow: WaveGlow):
        nn.Module.__init__(self)
        self.config = waveglow.config
        self.convinv = copy.deepcopy(waveglow.convinv)
        self.upsample = copy.deepcopy(getattr(waveglow, "upsample", None))
        self.WN = nn.ModuleList(FoldedWN(wavenet) for wavenet in waveglow.WN)
        self.eval().requires_grad_(False)


class FoldedWN(WN):
    def __init__(self, wavenet: WN):
        nn.Module.__init__(self)
        self.repeats = wavenet.repeats
        self.start = copy.deepcopy(wavenet.start)
        self.in_layers = copy.deepcopy(wavenet.in_layers)
        self.in_layers[0] = fold_start(wavenet)
        self.res_skip_layers = nn.ModuleList(fold_skips(wavenet))
        self.end = nn.Identity()
        self.cond_layer = join_layers(list(wavenet.cond_layers))

    def first_input(self, x: Tensor, hidden: Tensor) -> Tensor:
        return torch.cat((x, torch.ones_like(x[:, :1])), 1)

    def layer_conditions(self, conditions: Tensor) -> list[Tensor]:
        return list(repeat(self.cond_layer(conditions), self.repeats).chunk(len(self.in_layers), 1))


def fold_start(wavenet: WN) -> nn.Conv1d:
    """Return the first dilated convolution with the inputs of `start`, and a channel of ones for the bias of `start`.

    The ones end where the signal ends: the convolution pads with zeros, to which `start` adds no bias.
    """
    first = wavenet.in_layers[0]
    start = torch.cat((wavenet.start.weight.squeeze(2), wavenet.start.bias.unsqueeze(1)), 1).double()
    weight = torch.einsum("ohk,hi->oik", first.weight.double(), start)
    return fill(copy_convolution(first, weight), weight, first.bias)


def fold_skips(wavenet: WN) -> list[nn.Conv1d]:
    """Return the residual and skip layers, with `end` applied to each skip instead of their sum."""
    end, channels = wavenet.end.weight.squeeze(2).double(), wavenet.end.in_channels
    layers = []
    for layer in wavenet.res_skip_layers:
        residuals = layer.out_channels - channels
        weight, bias = layer.weight.squeeze(2).double(), layer.bias.double()
        weight = torch.cat((weight[:residuals], end @ weight[residuals:])).unsqueeze(2)
        bias = torch.cat((bias[:residuals], end @ bias[residuals:]))
        layers.append((weight, bias))
    layers[-1][1].add_(wavenet.end.bias)
    return [fill(copy_convolution(wavenet.end, weight), weight, bias) for weight, bias in layers]


def join_layers(layers: list[nn.Conv1d]) -> nn.Conv1d:
    """Return one convolution with the output channels of all."""
    weight = torch.cat([layer.weight for layer in layers])
    return fill(copy_convolution(layers[0], weight), weight, torch.cat([layer.bias for layer in layers]))


def copy_convolution(layer: nn.Conv1d, weight: Tensor) -> nn.Conv1d:
    """Return a convolution with the padding and dilation of `layer` and the channels of `weight`."""
    out_channels, in_channels, kernel_size = weight.shape
    padding, dilation = layer.padding, layer.dilation
    return nn.Conv1d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, device="meta")


def fill(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    layer.weight = nn.Parameter(weight.detach().float(), requires_grad=False)
    layer.bias = nn.Parameter(bias.detach().float(), requires_grad=False)
    return layer
