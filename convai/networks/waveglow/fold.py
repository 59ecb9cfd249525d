"""Makes WaveGlow cheaper without changing its result, by multiplying out linear maps that follow one another.

In every flow, three pairs of maps become one:

    upsampling, grouping and all conditioning layers -> one transposed convolution of the mel
    `start` and the first dilated convolution        -> one convolution of fewer channels
    each layer's skip and `end`                      -> a skip of as many channels as the coupling needs
"""

import copy

import torch
from torch import Tensor, nn

from convai.networks.waveglow.config import WaveGlowConfig
from convai.networks.waveglow.layers import WN, repeat
from convai.networks.waveglow.model import WaveGlow


class FoldedWaveGlow(WaveGlow):
    """Answers as the given network does, whose weights it holds multiplied out. For inference only.

    Of NVIDIA's layout the upsampling stays apart unless keep_upsampling is false. Folding it too saves the most
    multiply-adds, but makes the weights so large (2.2 GB in FP32 for 256 channels, not 0.3 GB) that a CPU gets slower.
    """

    def __init__(self, waveglow: WaveGlow, keep_upsampling: bool = True):
        nn.Module.__init__(self)
        self.config = waveglow.config
        self.convinv = copy.deepcopy(waveglow.convinv)
        self.upsample = getattr(waveglow, "upsample", None) if keep_upsampling else None
        folded_upsample = None if keep_upsampling else getattr(waveglow, "upsample", None)
        self.WN = nn.ModuleList(FoldedWN(wavenet, waveglow.config, folded_upsample) for wavenet in waveglow.WN)
        self.eval().requires_grad_(False)

    def conditions(self, mel: Tensor) -> Tensor:
        return super().conditions(mel) if self.upsample is not None else mel


class FoldedWN(WN):
    def __init__(self, wavenet: WN, config: WaveGlowConfig, upsample: nn.ConvTranspose1d | None):
        nn.Module.__init__(self)
        self.repeats = wavenet.repeats
        self.start = copy.deepcopy(wavenet.start)
        self.in_layers = copy.deepcopy(wavenet.in_layers)
        self.in_layers[0] = folded_start(wavenet)
        self.res_skip_layers = nn.ModuleList(folded_skips(wavenet))
        self.end = nn.Identity()
        self.cond_layer = joined(list(wavenet.cond_layers))
        self.surplus_groups = 0
        if upsample is not None:
            self.cond_layer = folded_upsampling(upsample, self.cond_layer, config.n_group)
            self.surplus_groups = self.cond_layer.kernel_size[0] - self.cond_layer.stride[0]

    def first_input(self, x: Tensor, hidden: Tensor) -> Tensor:
        return torch.cat((x, torch.ones_like(x[:, :1])), 1)

    def layer_conditions(self, conditions: Tensor) -> list[Tensor]:
        joint = repeat(self.cond_layer(conditions), self.repeats)
        # The last frames' tails reach past the end of the audio.
        return list(joint[:, :, : joint.size(2) - self.surplus_groups].chunk(len(self.in_layers), 1))


def folded_start(wavenet: WN) -> nn.Conv1d:
    """The first dilated convolution, reading what `start` reads, and a channel of ones for `start`'s bias.

    The ones end where the signal ends, as the bias does in front of a convolution that pads with zeros.
    """
    first = wavenet.in_layers[0]
    start = torch.cat((wavenet.start.weight.squeeze(2), wavenet.start.bias.unsqueeze(1)), 1).double()
    weight = torch.einsum("ohk,hi->oik", first.weight.double(), start)
    return filled(copied_convolution(first, weight), weight, first.bias)


def folded_skips(wavenet: WN) -> list[nn.Conv1d]:
    """The last layers of all, whose skips add up to what `end` would have made of their sum."""
    end, channels = wavenet.end.weight.squeeze(2).double(), wavenet.end.in_channels
    layers = []
    for layer in wavenet.res_skip_layers:
        residuals = layer.out_channels - channels
        weight, bias = layer.weight.squeeze(2).double(), layer.bias.double()
        weight = torch.cat((weight[:residuals], end @ weight[residuals:])).unsqueeze(2)
        bias = torch.cat((bias[:residuals], end @ bias[residuals:]))
        layers.append((weight, bias))
    layers[-1][1].add_(wavenet.end.bias)
    return [filled(copied_convolution(wavenet.end, weight), weight, bias) for weight, bias in layers]


def joined(layers: list[nn.Conv1d]) -> nn.Conv1d:
    """One convolution with the output channels of all."""
    weight = torch.cat([layer.weight for layer in layers])
    return filled(copied_convolution(layers[0], weight), weight, torch.cat([layer.bias for layer in layers]))


def folded_upsampling(upsample: nn.ConvTranspose1d, cond_layer: nn.Conv1d, n_group: int) -> nn.ConvTranspose1d:
    """Upsampling by samples, grouping and conditioning as one upsampling by groups."""
    mels = upsample.in_channels
    samples = upsample.weight.double().unflatten(2, (-1, n_group))
    per_group = cond_layer.weight.squeeze(2).double().unflatten(1, (mels, n_group))
    weight = torch.einsum("omg,imtg->iot", per_group, samples)
    bias = cond_layer.bias.double() + torch.einsum("omg,m->o", per_group, upsample.bias.double())
    stride = upsample.stride[0] // n_group
    return filled(nn.ConvTranspose1d(*weight.shape, stride=stride, device="meta"), weight, bias)


def copied_convolution(layer: nn.Conv1d, weight: Tensor) -> nn.Conv1d:
    """A convolution in time as `layer` does it, with the channels of `weight`."""
    out_channels, in_channels, kernel_size = weight.shape
    padding, dilation = layer.padding, layer.dilation
    return nn.Conv1d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, device="meta")


def filled(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    layer.weight = nn.Parameter(weight.detach().float(), requires_grad=False)
    layer.bias = nn.Parameter(bias.detach().float(), requires_grad=False)
    return layer
