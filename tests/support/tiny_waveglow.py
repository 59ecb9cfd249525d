"""A WaveGlow small enough for unit tests."""

import copy
from dataclasses import replace

import torch

from convai.networks.waveglow.model import WaveGlow, WaveGlowConfig

REPEATED = WaveGlowConfig(
    n_mel_channels=6,
    n_flows=4,
    n_group=32,
    n_early_every=2,
    n_early_size=4,
    n_layers=3,
    n_channels=8,
    conditioning="repeated",
    conditioning_kernel_size=3,
)


UPSAMPLED = replace(REPEATED, n_group=8, n_early_size=2, conditioning="upsampled", conditioning_kernel_size=1)


def network(config):
    """Build a network whose couplings differ from the identity that they start as."""
    torch.manual_seed(2)
    waveglow = WaveGlow(config).eval()
    for wavenet in waveglow.WN:
        torch.nn.init.normal_(wavenet.end.weight, std=0.1)
    return waveglow


def with_weight_norm(waveglow):
    """Copy the network as NVIDIA trains it: weight norm on every layer of WN but `end`, with other norms."""
    published = copy.deepcopy(waveglow)
    for wavenet in published.WN:
        for layer in (wavenet.start, *wavenet.in_layers, *wavenet.cond_layers, *wavenet.res_skip_layers):
            torch.nn.utils.weight_norm(layer)
            torch.nn.init.uniform_(layer.weight_g, 0.5, 1.5)
    return published


def with_fused_conditioning(tensors):
    """Join the conditioning of all layers of a flow, as newer files store it."""
    fused = {name: tensor for name, tensor in tensors.items() if "cond_layers" not in name}
    for flow in range(UPSAMPLED.n_flows):
        for part in ("weight_g", "weight_v", "bias"):
            layers = [tensors[f"WN.{flow}.cond_layers.{i}.{part}"] for i in range(UPSAMPLED.n_layers)]
            fused[f"WN.{flow}.cond_layer.{part}"] = torch.cat(layers)
    return fused
