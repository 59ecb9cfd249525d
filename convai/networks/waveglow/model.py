"""WaveGlow, the step `waveglow`: log-mel frames and noise -> audio; and the inverse, for training.

The network is that of Prenger et al., "WaveGlow: A Flow-based Generative Network for Speech Synthesis", 2018.
"""

import torch
from torch import Tensor, nn

from convai.audio.voice_mel import HOP_LENGTH
from convai.networks.waveglow.config import CONFIGS, UPSAMPLE_KERNEL_SIZE, WaveGlowConfig
from convai.networks.waveglow.layers import WN, Invertible1x1Conv, split

__all__ = ["CONFIGS", "WaveGlow", "WaveGlowConfig", "example_inputs"]


class WaveGlow(nn.Module):
    """Flows between audio and noise. State-dict keys are NVIDIA's, with weight norm folded."""

    def __init__(self, config: WaveGlowConfig):
        super().__init__()
        self.config = config
        if config.conditioning == "upsampled":
            self.upsample = nn.ConvTranspose1d(
                config.n_mel_channels, config.n_mel_channels, UPSAMPLE_KERNEL_SIZE, stride=HOP_LENGTH
            )
        channels = [config.flow_channels(flow) for flow in range(config.n_flows)]
        self.WN = nn.ModuleList(WN(config, n // 2) for n in channels)
        self.convinv = nn.ModuleList(Invertible1x1Conv(n) for n in channels)

    def forward(self, padded_mel: Tensor, z: Tensor) -> Tensor:
        """Synthesise audio.

        Parameters
        ----------
        padded_mel : float32, shape = (batch, n_mel_channels, frames)
        z : float32, shape = (batch, n_group, frames * 256 / n_group), standard normal noise; the last flow's channels
            come first, then those that left early, the latest first

        Returns
        -------
        audio : float32, shape = (batch, frames * 256), full scale is 1
        """
        dtype = self.WN[0].start.weight.dtype
        conditions = self.conditions(padded_mel.to(dtype))
        z = z.to(dtype) * self.config.sigma
        x, early = split(z, self.config.flow_channels(self.config.n_flows - 1))
        for flow in reversed(range(self.config.n_flows)):
            unchanged, changed = x.chunk(2, 1)
            shift, log_scale = self.WN[flow](unchanged, conditions)
            x = self.convinv[flow].inverse(torch.cat((unchanged, (changed - shift) * torch.exp(-log_scale)), 1))
            if self.config.leaves_early(flow):
                rejoining, early = split(early, self.config.n_early_size)
                x = torch.cat((rejoining, x), 1)
        return x.transpose(1, 2).flatten(1).float()

    def encode(self, audio: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Invert `forward`, for training by likelihood.

        Parameters
        ----------
        audio : float, shape = (batch, frames * 256)
        mel : float, shape = (batch, n_mel_channels, frames)

        Returns
        -------
        z times sigma : float, shape = (batch, n_group, frames * 256 / n_group); training makes it normal
        log_determinant : float, shape = (batch,), of the transform
        """
        conditions = self.conditions(mel)
        x = audio.unflatten(1, (-1, self.config.n_group)).transpose(1, 2)
        log_determinant = audio.new_zeros(audio.size(0))
        early = []
        for flow in range(self.config.n_flows):
            if self.config.leaves_early(flow):
                leaving, x = split(x, self.config.n_early_size)
                early.insert(0, leaving)
            x, mixing = self.convinv[flow](x)
            unchanged, changed = x.chunk(2, 1)
            shift, log_scale = self.WN[flow](unchanged, conditions)
            x = torch.cat((unchanged, changed * torch.exp(log_scale) + shift), 1)
            log_determinant = log_determinant + log_scale.sum((1, 2)) + mixing * x.size(2)
        return torch.cat((x, *early), 1), log_determinant

    def conditions(self, mel: Tensor) -> Tensor:
        """Return the input of the conditioning layers: the mel itself, or upsampled and grouped like the audio.

        Returns
        -------
        float, shape = (batch, n_mel_channels, frames) or (batch, n_mel_channels * n_group, groups)
        """
        if self.config.conditioning == "repeated":
            return mel
        # The upsampling of the last frames reaches past the end of the audio.
        samples = self.upsample(mel)[:, :, : HOP_LENGTH - UPSAMPLE_KERNEL_SIZE]
        batch, mels, _ = samples.shape
        groups = samples.reshape(batch, mels, -1, self.config.n_group).transpose(2, 3)
        return groups.reshape(batch, mels * self.config.n_group, -1)


def example_inputs(config: WaveGlowConfig, batch: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw a log-mel of `length` frames and noise.

    Returns
    -------
    padded_mel : float32, shape = (batch, n_mel_channels, length)
    z : float32, shape = (batch, n_group, length * 256 / n_group)
    """
    generator = torch.Generator().manual_seed(seed)
    padded_mel = torch.randn(batch, config.n_mel_channels, length, generator=generator) * 2 - 6
    z = torch.randn(batch, length * config.groups_per_frame, config.n_group, generator=generator)
    return padded_mel, z.transpose(1, 2).contiguous()
