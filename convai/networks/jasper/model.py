"""Jasper and QuartzNet, the step `jasper`: log-mel features -> CTC log-probabilities of letters.

Jasper is the network of Li et al., "Jasper: An End-to-End Convolutional Neural Acoustic Model", 2019, QuartzNet that of
Kriman et al., "QuartzNet: Deep Automatic Speech Recognition with 1D Time-Channel Separable Convolutions", 2019. The
modules are named so that the state-dict keys are those of NVIDIA's DeepLearningExamples.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.jasper.config import CONFIGS, BlockConfig, JasperConfig

__all__ = ["CONFIGS", "BlockConfig", "Jasper", "JasperConfig", "example_inputs"]

BATCH_NORM_EPSILON = 1e-3


class Jasper(nn.Module):
    """Features in, log-probabilities out."""

    def __init__(self, config: JasperConfig):
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.stride = config.stride
        self.apply(initialise)

    def forward(self, features: Tensor, features_length: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the log-probability of every label in every frame.

        Parameters
        ----------
        features : float32, shape = (batch, features, frames)
        features_length : int32, shape = (batch, 1)
            Valid frames of each row; later frames are ignored.

        Returns
        -------
        log_probs : float32, shape = (batch, ceil(frames / stride), labels)
        log_probs_length : int32, shape = (batch, 1)
        """
        hidden, _ = self.encoder(features.to(self.encoder.layers[0].conv[0].weight.dtype), features_length)
        # A decoder that upsamples emits whole groups of frames; the last group may reach past the end.
        frames = (features.shape[2] + self.stride - 1) // self.stride
        return self.decoder(hidden)[:, :frames], ceil_div(features_length, self.stride)


class Encoder(nn.Module):
    def __init__(self, config: JasperConfig):
        super().__init__()
        self.layers = nn.ModuleList()
        in_channels, residual_channels = config.num_features, []
        for block in config.blocks:
            if block.residual:
                residual_channels = [*residual_channels, in_channels] if block.dense else [in_channels]
            self.layers.append(Block(block, in_channels, residual_channels, config.dropout))
            in_channels = block.filters

    def forward(self, features: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Run all blocks.

        Parameters
        ----------
        features : float, shape = (batch, features, frames)
        length : int32, shape = (batch, 1), valid frames

        Returns
        -------
        hidden : float, shape = (batch, channels, ceil(frames / encoder_stride))
        length : int32, shape = (batch, 1)
        """
        if self.training:
            # Images of height 1, which PyTorch can lay out channels last: a training step takes 33 % less time.
            features = features.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        residuals = [features]
        for block in self.layers:
            residuals, length = block(residuals, length)
        return (residuals[-1].squeeze(2) if self.training else residuals[-1]), length


class Block(nn.Module):
    """Convolutions over the latest output, plus, in a residual block, a 1x1 convolution of each dense residual input.

    Dense residual inputs are the outputs of all blocks since the one before the first residual block; without dense
    residuals, the latest output only.
    """

    def __init__(self, config: BlockConfig, in_channels: int, residual_channels: list[int], dropout: float):
        super().__init__()
        self.stride = config.stride
        self.is_dense = config.residual and config.dense
        self.modules_per_convolution = 5 if config.separable else 4
        self.conv = nn.ModuleList(convolutions(config, in_channels, dropout))
        self.res = nn.ModuleList(
            nn.Sequential(*convolution_and_norm(channels, config.filters))
            for channels in (residual_channels if config.residual else [])
        )
        self.out = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))

    def forward(self, residuals: list[Tensor], length: Tensor) -> tuple[list[Tensor], Tensor]:
        """Append this block's output to the dense residual inputs, or replace them by it.

        Parameters
        ----------
        residuals : float, shape = (batch, channels, frames) each, or (batch, channels, 1, frames) in training
        length : int32, shape = (batch, 1), valid frames

        Returns
        -------
        residuals : with ceil(frames / stride) frames
        length : int32, shape = (batch, 1)
        """
        hidden = residuals[-1]
        mask = valid_frames(hidden, length)
        for index, module in enumerate(self.conv):
            # Only convolutions in time need the mask; those across channels, and the 1x1 of residuals, mix no frames.
            if index % self.modules_per_convolution == 0:
                hidden = hidden * mask
            hidden = module(hidden)
        for index, module in enumerate(self.res):
            hidden = hidden + module(residuals[index])
        hidden = self.out(hidden)
        return (residuals + [hidden] if self.is_dense else [hidden]), ceil_div(length, self.stride)


class Decoder(nn.Module):
    def __init__(self, config: JasperConfig):
        super().__init__()
        self.num_labels = config.num_labels
        out_channels = config.upsampling * config.num_labels
        self.layers = nn.Sequential(nn.Conv1d(config.blocks[-1].filters, out_channels, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute the log-probabilities.

        Parameters
        ----------
        hidden : float, shape = (batch, channels, frames)

        Returns
        -------
        float32, shape = (batch, frames * upsampling, labels)
        """
        scores = self.layers(hidden.to(self.layers[0].weight.dtype)).transpose(1, 2).float()
        return scores.reshape(scores.shape[0], -1, self.num_labels).log_softmax(2)


def convolutions(config: BlockConfig, in_channels: int, dropout: float) -> list[nn.Module]:
    """Repeat convolution (two if separable), normalisation, activation, dropout.

    The activation and dropout of the last convolution are left out: they follow the residual sum.
    """
    modules: list[nn.Module] = []
    for repetition in range(config.repeat):
        if repetition:
            modules += [nn.ReLU(), nn.Dropout(dropout)]
            in_channels = config.filters
        if config.separable:
            modules.append(convolution(in_channels, in_channels, config, groups=in_channels))
            modules += convolution_and_norm(in_channels, config.filters)
        else:
            modules += [convolution(in_channels, config.filters, config), norm(config.filters)]
    return modules


class Convolution(nn.Conv1d):
    """A convolution in time over (batch, channels, frames), or over (batch, channels, 1, frames) in training."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 3:
            return self._conv_forward(input, self.weight, self.bias)  # TorchScript does not support super()
        stride, dilation = (1, self.stride[0]), (1, self.dilation[0])
        padding = (0, int(self.padding[0]))
        return F.conv2d(input, self.weight.unsqueeze(2), self.bias, stride, padding, dilation, self.groups)


class Normalisation(nn.BatchNorm1d):
    """A batch normalisation of (batch, channels, frames), or of (batch, channels, 1, frames) in training."""

    def _check_input_dim(self, input: Tensor) -> None:
        assert input.dim() in (3, 4)


def convolution(in_channels: int, out_channels: int, config: BlockConfig, groups: int = 1) -> Convolution:
    padding = config.kernel_size // 2 * config.dilation
    return Convolution(
        *(in_channels, out_channels, config.kernel_size, config.stride, padding, config.dilation, groups), bias=False
    )


def norm(channels: int) -> Normalisation:
    return Normalisation(channels, eps=BATCH_NORM_EPSILON)


def convolution_and_norm(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Return a convolution across the channels of one frame, and its normalisation."""
    return [Convolution(in_channels, out_channels, 1, bias=False), norm(out_channels)]


def valid_frames(hidden: Tensor, length: Tensor) -> Tensor:
    """Mark valid frames with 1, padding with 0: shape = (batch, 1, frames), or (batch, 1, 1, frames) in training."""
    frames = torch.arange(hidden.shape[-1], device=hidden.device)
    valid = (frames < length)[:, None, :].to(hidden.dtype)
    return valid if hidden.dim() == 3 else valid.unsqueeze(2)


def ceil_div(length: Tensor, stride: int) -> Tensor:
    """Return the output frames of `length` input frames: with symmetric padding, the quotient rounded up."""
    return torch.div(length + (stride - 1), stride, rounding_mode="floor")


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d):
        nn.init.xavier_uniform_(module.weight)


def example_inputs(config: JasperConfig, batch: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw random features: row 0 is full, later rows are shorter and zero-padded, row 3 has length 0.

    Returns
    -------
    features : float32, shape = (batch, features, length)
    features_length : int32, shape = (batch, 1)
    """
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, config.num_features, length, generator=generator)
    features_length = torch.randint(0, length + 1, (batch, 1), generator=generator, dtype=torch.int32)
    features_length[0] = length
    features_length[3:4] = 0
    return features * valid_frames(features, features_length), features_length
