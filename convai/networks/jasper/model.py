"""Jasper: hears the question. Turns log-mel features into CTC log-probabilities of letters.

The modules are named so that the state-dict keys are those of NVIDIA's DeepLearningExamples.
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
        """Give every label a log-probability in every frame.

        Parameters
        ----------
        features : float32, shape = (batch, features, frames)
        features_length : int32, shape = (batch, 1)
            Valid frames of each row; what follows them is not read.

        Returns
        -------
        log_probs : float32, shape = (batch, ceil(frames / stride), labels)
        log_probs_length : int32, shape = (batch, 1)
        """
        hidden, _ = self.encoder(features.to(self.decoder.layers[0].weight.dtype), features_length)
        # A decoder that upsamples makes whole groups of frames, so the last group may reach past the end.
        frames = (features.shape[2] + self.stride - 1) // self.stride
        return self.decoder(hidden)[:, :frames], ceil_div(features_length, self.stride)


class Encoder(nn.Module):
    def __init__(self, config: JasperConfig):
        super().__init__()
        self.layers = nn.ModuleList()
        in_channels, pane_channels = config.num_features, []
        for block in config.blocks:
            if block.residual:
                pane_channels = [*pane_channels, in_channels] if block.dense else [in_channels]
            self.layers.append(Block(block, in_channels, pane_channels, config.dropout))
            in_channels = block.filters

    def forward(self, features: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            # One row high, so that PyTorch can lay out channels last: a step takes two thirds of the time.
            features = features.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        panes = [features]
        for block in self.layers:
            panes, length = block(panes, length)
        return (panes[-1].squeeze(2) if self.training else panes[-1]), length


class Block(nn.Module):
    """Convolutions over the latest pane, plus one 1x1 convolution over each pane if the block is residual.

    A pane is what a residual block reads: the output of every block since the one before the first residual block, or
    of the latest alone where residuals are not dense.
    """

    def __init__(self, config: BlockConfig, in_channels: int, pane_channels: list[int], dropout: float):
        super().__init__()
        self.stride = config.stride
        self.keeps_panes = config.residual and config.dense
        self.modules_per_convolution = 5 if config.separable else 4
        self.conv = nn.ModuleList(convolutions(config, in_channels, dropout))
        self.res = nn.ModuleList(
            nn.Sequential(*convolution_and_norm(channels, config.filters))
            for channels in (pane_channels if config.residual else [])
        )
        self.out = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))

    def forward(self, panes: list[Tensor], length: Tensor) -> tuple[list[Tensor], Tensor]:
        hidden = panes[-1]
        mask = valid_frames(hidden, length)
        for index, module in enumerate(self.conv):
            # Only convolutions in time need the mask: those across the channels, and a pane's 1x1, mix no frames.
            if index % self.modules_per_convolution == 0:
                hidden = hidden * mask
            hidden = module(hidden)
        for index, module in enumerate(self.res):
            hidden = hidden + module(panes[index])
        hidden = self.out(hidden)
        return (panes + [hidden] if self.keeps_panes else [hidden]), ceil_div(length, self.stride)


class Decoder(nn.Module):
    def __init__(self, config: JasperConfig):
        super().__init__()
        self.num_labels = config.num_labels
        out_channels = config.upsampling * config.num_labels
        self.layers = nn.Sequential(nn.Conv1d(config.blocks[-1].filters, out_channels, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        scores = self.layers(hidden).transpose(1, 2).float()
        return scores.reshape(scores.shape[0], -1, self.num_labels).log_softmax(2)


def convolutions(config: BlockConfig, in_channels: int, dropout: float) -> list[nn.Module]:
    """Line up convolution (two if separable), normalisation, activation, dropout, again and again.

    The last convolution's activation and dropout come after the residual sum instead.
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
    """A convolution in time, of rows as well: shape = (batch, channels, frames) or (batch, channels, 1, frames)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 3:
            return self._conv_forward(input, self.weight, self.bias)  # TorchScript knows no super()
        stride, dilation = (1, self.stride[0]), (1, self.dilation[0])
        padding = (0, int(self.padding[0]))
        return F.conv2d(input, self.weight.unsqueeze(2), self.bias, stride, padding, dilation, self.groups)


class Normalisation(nn.BatchNorm1d):
    """A batch normalisation, of rows as well."""

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
    """A convolution across the channels of one frame, and its normalisation."""
    return [Convolution(in_channels, out_channels, 1, bias=False), norm(out_channels)]


def valid_frames(hidden: Tensor, length: Tensor) -> Tensor:
    """Mark valid frames with 1, padding with 0; shape = (batch, 1, frames), or (batch, 1, 1, frames) of rows."""
    frames = torch.arange(hidden.shape[-1], device=hidden.device)
    valid = (frames < length)[:, None, :].to(hidden.dtype)
    return valid if hidden.dim() == 3 else valid.unsqueeze(2)


def ceil_div(length: Tensor, stride: int) -> Tensor:
    """Frames left of `length` frames: symmetric padding makes it the quotient rounded up, and 0 of 0."""
    return torch.div(length + (stride - 1), stride, rounding_mode="floor")


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d):
        nn.init.xavier_uniform_(module.weight)


def example_inputs(config: JasperConfig, batch: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random features: row 0 is full, later rows are shorter, zero-padded; row 3 is silence, of length 0.

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
