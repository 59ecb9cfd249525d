"""WaveGlow in sizes that a test can wait for."""

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
    """A network whose couplings do something, which they learn only in training."""
    torch.manual_seed(2)
    waveglow = WaveGlow(config).eval()
    for wavenet in waveglow.WN:
        torch.nn.init.normal_(wavenet.end.weight, std=0.1)
    return waveglow
