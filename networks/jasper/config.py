"""Sizes of Jasper, by name."""

from dataclasses import dataclass

from convai.generator.pipeline import NUM_FEATURES, NUM_LABELS


@dataclass(frozen=True)
class BlockConfig:
    """One block: `repeat` convolutions, joined by the outputs of all earlier residual blocks if it is residual."""

    filters: int
    kernel_size: int
    repeat: int = 1
    stride: int = 1
    dilation: int = 1
    residual: bool = False

    def __post_init__(self):
        for name in ("filters", "kernel_size", "repeat", "stride", "dilation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that its padding is symmetric, got {self.kernel_size}")
        if self.stride > 1 and (self.repeat > 1 or self.residual or self.dilation > 1):
            raise ValueError(f"stride must be 1 in a repeated, residual or dilated block, got {self.stride}")


@dataclass(frozen=True)
class JasperConfig:
    """Sizes of one Jasper."""

    blocks: tuple[BlockConfig, ...]
    num_features: int = NUM_FEATURES
    num_labels: int = NUM_LABELS
    dropout: float = 0.2  # acts while training only

    def __post_init__(self):
        if not self.blocks:
            raise ValueError("blocks must hold at least one block, got none")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    @property
    def stride(self) -> int:
        """Feature frames per frame of log-probabilities."""
        stride = 1
        for block in self.blocks:
            stride *= block.stride
        return stride


def residual_blocks(repeat: int, *sizes: tuple[int, int]) -> tuple[BlockConfig, ...]:
    """Make dense residual blocks from pairs of (filters, kernel size)."""
    return tuple(BlockConfig(filters, kernel, repeat=repeat, residual=True) for filters, kernel in sizes)


CONFIGS = {
    "mini": JasperConfig(
        blocks=(
            BlockConfig(128, 11, stride=2),
            *residual_blocks(2, (128, 11), (160, 13), (192, 17), (192, 21)),
            BlockConfig(256, 15, dilation=2),
            BlockConfig(384, 1),
        ),
    ),
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
