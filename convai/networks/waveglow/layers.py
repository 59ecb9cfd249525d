"""The two transforms of a WaveGlow flow: the invertible convolution, and the network inside the affine coupling."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.waveglow.config import WaveGlowConfig


class Invertible1x1Conv(nn.Module):
    """Mixes the channels of a group. The inverse is stored beside the weight, computed in FP32 even for FP16.

    It is updated when weights are loaded and when training ends. During training each call computes it from the weight,
    so that gradients reach it.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 1, bias=False)
        nn.init.orthogonal_(self.conv.weight)
        self.register_buffer("inverse_weight", torch.empty_like(self.conv.weight.detach()), persistent=False)
        self.update_inverse()
        self.register_load_state_dict_post_hook(update_inverse_after_load)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixed channels, shape = (batch, channels, groups), and the log-determinant of one group."""
        return self.conv(x), torch.linalg.slogdet(self.matrix())[1]

    def inverse(self, x: Tensor) -> Tensor:
        """Undo `forward`: float, shape = (batch, channels, groups)."""
        return F.conv1d(x, self.compute_inverse() if self.training else self.inverse_weight)

    def matrix(self) -> Tensor:
        weight = self.conv.weight.squeeze(2)
        return weight.to(torch.promote_types(weight.dtype, torch.float32))

    def compute_inverse(self) -> Tensor:
        return torch.linalg.inv(self.matrix()).unsqueeze(2).to(self.conv.weight.dtype)

    @torch.no_grad()
    def update_inverse(self):
        if not self.conv.weight.is_meta:
            self.inverse_weight.copy_(self.compute_inverse())

    def train(self, mode: bool = True):
        if self.training and not mode:
            self.update_inverse()
        return super().train(mode)


def update_inverse_after_load(module: Invertible1x1Conv, _incompatible_keys):
    module.update_inverse()


class WN(nn.Module):
    """The WaveNet of a coupling: computes the shift and log-scale of half the channels from the others and the mel."""

    def __init__(self, config: WaveGlowConfig, half_channels: int):
        super().__init__()
        channels, layers = config.n_channels, range(config.n_layers)
        self.repeats = config.groups_per_frame if config.conditioning == "repeated" else 1
        self.start = nn.Conv1d(half_channels, channels, 1)
        self.in_layers = nn.ModuleList(dilated_convolution(config, 2**i) for i in layers)
        self.cond_layers = nn.ModuleList(conditioning_convolution(config) for _ in layers)
        self.res_skip_layers = nn.ModuleList(
            nn.Conv1d(channels, channels if i == config.n_layers - 1 else 2 * channels, 1) for i in layers
        )
        self.end = nn.Conv1d(channels, 2 * half_channels, 1)
        # A coupling that starts as the identity keeps the beginning of training stable.
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)

    def forward(self, x: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the coupling's parameters.

        Parameters
        ----------
        x : float, shape = (batch, half_channels, groups)
        conditions : float, shape = (batch, channels, groups), or (batch, channels, frames) if repeated

        Returns
        -------
        shift, log_scale : float, shape = (batch, half_channels, groups)
        """
        hidden = self.start(x)
        total: Tensor | float = 0.0
        for i, condition in enumerate(self.layer_conditions(conditions)):
            dilated = self.in_layers[i](hidden if i > 0 else self.first_input(x, hidden))
            output = self.res_skip_layers[i](gate(dilated + condition))
            if i < len(self.in_layers) - 1:
                residual, output = split(output, self.start.out_channels)
                hidden = hidden + residual
            total = total + output
        return self.end(total).chunk(2, 1)

    def first_input(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return the input of the first dilated convolution."""
        return hidden

    def layer_conditions(self, conditions: Tensor) -> list[Tensor]:
        """Return the conditions of each layer: float, shape = (batch, 2 * n_channels, groups)."""
        return [repeat(cond_layer(conditions), self.repeats) for cond_layer in self.cond_layers]


def dilated_convolution(config: WaveGlowConfig, dilation: int) -> nn.Conv1d:
    padding = dilation * (config.kernel_size // 2)
    return nn.Conv1d(config.n_channels, 2 * config.n_channels, config.kernel_size, padding=padding, dilation=dilation)


def conditioning_convolution(config: WaveGlowConfig) -> nn.Conv1d:
    samples = config.n_group if config.conditioning == "upsampled" else 1
    kernel_size = config.conditioning_kernel_size
    return nn.Conv1d(config.n_mel_channels * samples, 2 * config.n_channels, kernel_size, padding=kernel_size // 2)


def split(x: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Return the first channels and the others."""
    return x[:, :channels], x[:, channels:]


def gate(x: Tensor) -> Tensor:
    content, openness = x.chunk(2, 1)
    return torch.tanh(content) * torch.sigmoid(openness)


def repeat(frames: Tensor, repeats: int) -> Tensor:
    """Repeat each frame for its groups; on ONNX Runtime this is much cheaper than an addition that broadcasts."""
    return F.interpolate(frames, scale_factor=float(repeats), mode="nearest") if repeats > 1 else frames
