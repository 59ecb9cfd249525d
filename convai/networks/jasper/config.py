"""Sizes of Jasper and QuartzNet, by name."""

from dataclasses import dataclass
from math import prod

from convai.backends.steps.speech_features import LogMelOptions
from convai.description.pipeline import NUM_FEATURES, NUM_LABELS
from convai.errors import InvalidArgument
from convai.networks.config_checks import check_fields


@dataclass(frozen=True)
class BlockConfig:
    """One block of `repeat` convolutions.

    residual : the block adds its input to its output
    dense : a residual block adds the inputs of all earlier residual blocks too, as in Jasper, not in QuartzNet
    separable : each convolution is one in time per channel, then one across channels per frame, as in QuartzNet
    """

    filters: int
    kernel_size: int
    repeat: int = 1
    stride: int = 1
    dilation: int = 1
    residual: bool = False
    dense: bool = True
    separable: bool = False

    def __post_init__(self):
        check_fields(self, odd=("kernel_size",))  # for symmetric padding
        if self.stride > 1 and (self.repeat > 1 or self.residual or self.dilation > 1):
            raise InvalidArgument(f"stride: expected 1 in a repeated, residual or dilated block, got {self.stride}")


@dataclass(frozen=True)
class JasperConfig:
    """Sizes of one Jasper, and the features that it was trained on."""

    blocks: tuple[BlockConfig, ...]
    num_features: int = NUM_FEATURES
    num_labels: int = NUM_LABELS
    dropout: float = 0.2  # during training only
    upsampling: int = 1  # frames of log-probabilities per frame of the encoder
    log_mel: LogMelOptions = LogMelOptions()

    def __post_init__(self):
        check_fields(self, probabilities=("dropout",))
        if not self.blocks:
            raise InvalidArgument("blocks: expected at least one block, got none")
        if len({block.dense for block in self.blocks if block.residual}) > 1:
            raise InvalidArgument("dense: expected one value in all residual blocks, got both")
        if self.encoder_stride % self.upsampling:
            raise InvalidArgument(
                f"upsampling: expected a divisor of the blocks' stride {self.encoder_stride}, got {self.upsampling}"
            )

    @property
    def encoder_stride(self) -> int:
        """Feature frames per frame of the encoder's output."""
        return prod(block.stride for block in self.blocks)

    @property
    def stride(self) -> int:
        """Feature frames per frame of log-probabilities."""
        return self.encoder_stride // self.upsampling


def residual_blocks(repeat: int, *sizes: tuple[int, int]) -> tuple[BlockConfig, ...]:
    """Return dense residual blocks for pairs of (filters, kernel size)."""
    return tuple(BlockConfig(filters, kernel, repeat=repeat, residual=True) for filters, kernel in sizes)


def at_25_hertz(num_residual_blocks: int) -> JasperConfig:
    """Return the sizes of a Jasper whose residual blocks run at 25 frames per second, half of the published rate.

    That halves the time of training and inference. The decoder emits two frames of labels per frame, enough for fast
    speech.
    """
    return JasperConfig(
        blocks=(
            BlockConfig(192, 11, stride=2),
            BlockConfig(256, 7, stride=2),
            *residual_blocks(3, *[(256, 5)] * num_residual_blocks),
            BlockConfig(256, 7, dilation=2),
            BlockConfig(384, 1),
        ),
        upsampling=2,
    )


CONFIGS = {
    "mini": at_25_hertz(4),
    "small": at_25_hertz(6),  # depth expansion of a trained `mini`, for multi-speaker training
    "jasper10x5dr": JasperConfig(
        blocks=(
            BlockConfig(256, 11, stride=2),
            *residual_blocks(5, (256, 11), (256, 11), (384, 13), (384, 13), (512, 17)),
            *residual_blocks(5, (512, 17), (640, 21), (640, 21), (768, 25), (768, 25)),
            BlockConfig(896, 29, dilation=2),
            BlockConfig(1024, 1),
        ),
    ),
}
