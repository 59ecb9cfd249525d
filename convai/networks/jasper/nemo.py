"""Reads Jasper and QuartzNet as NVIDIA NeMo stores them, from an EncDecCTCModel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convai.arrays import Array
from convai.audio.mel_filters import mel_filterbank
from convai.backends.steps.speech_features import FFT_LENGTH, HOP_LENGTH, PREEMPHASIS, WINDOW_LENGTH, LogMelOptions
from convai.description.pipeline import LABELS, NUM_FEATURES, SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_archive import NemoArchive
from convai.networks.checkpoints.nemo_options import (
    check_filters,
    check_options,
    check_strings,
    parse_number,
    read_flag,
    read_integer,
    read_number,
    read_section,
    shorten,
)
from convai.networks.checkpoints.renames import Converted, RenameTable, rename
from convai.networks.jasper.config import BlockConfig, JasperConfig

RENAMES: RenameTable = (
    (r"^preprocessor\.featurizer\.(fb|window)$", None),
    # A masked convolution keeps its weight one level deeper.
    (r"^encoder\.encoder\.(\d+)\.mconv\.(\d+)\.(?:conv\.)?", r"encoder.layers.\1.conv.\2."),
    (r"^encoder\.encoder\.(\d+)\.res\.(\d+)\.(\d+)\.(?:conv\.)?", r"encoder.layers.\1.res.\2.\3."),
    (r"^decoder\.decoder_layers\.", "decoder.layers."),
)
ENCODER = {
    "activation": "relu", "conv_mask": True, "feat_in": NUM_FEATURES, "frame_splicing": 1,
    "normalization_mode": "batch", "quantize": False, "residual_mode": ("add", "stride_add"),
}  # fmt: skip
BLOCK = {"future_context": -1, "groups": 1, "heads": -1, "residual_mode": ("add", "stride_add"), "se": False}
BLOCK_SIZES = ("filters", "kernel", "kernel_size_factor", "repeat", "stride", "dilation")
BLOCK_FLAGS = ("residual", "residual_dense", "separable")
# Dropout is for training only; a block with a stride has one convolution.
BLOCK_IGNORED = ("dropout", "stride_last", "se_reduction_ratio", "se_context_size", "se_interpolation_mode")
DECODER = {"add_blank": True}
FEATURES = {
    "sample_rate": SAMPLE_RATE_HERTZ, "n_fft": FFT_LENGTH, "window": "hann", "preemph": PREEMPHASIS,
    "features": NUM_FEATURES, "lowfreq": 0, "highfreq": (None, SAMPLE_RATE_HERTZ // 2), "mel_norm": "slaney",
    "mag_power": 2.0, "log": True, "log_zero_guard_type": "add", "normalize": "per_feature", "frame_splicing": 1,
    "exact_pad": False,
    "window_size": (None, WINDOW_LENGTH / SAMPLE_RATE_HERTZ), "n_window_size": (None, WINDOW_LENGTH),
    "window_stride": (None, HOP_LENGTH / SAMPLE_RATE_HERTZ), "n_window_stride": (None, HOP_LENGTH),
}  # fmt: skip
# Padding is masked, dither and narrow bands are for training only, and NeMo no longer reads the last three.
FEATURES_IGNORED = (
    *("pad_to", "pad_value", "dither", "nb_augmentation_prob", "nb_max_freq", "rng"),
    *("stft_conv", "stft_exact_pad", "use_torchaudio"),
)
GUARDS = {"tiny": float(np.finfo(np.float32).tiny), "eps": float(np.finfo(np.float32).eps)}
USUAL_GUARD = 2**-24


def read(archive: NemoArchive) -> Converted:
    config = archive.config
    check_options("model", {"sample_rate": config.get("sample_rate", SAMPLE_RATE_HERTZ)}, FEATURES, ())
    check_filters(archive.tensors, "preprocessor.featurizer.fb", make_filters())
    sizes = JasperConfig(blocks=read_blocks(config), log_mel=read_log_mel_options(config))
    tensors = reorder_labels(rename(archive.tensors, RENAMES), find_label_order(config))
    what = "QuartzNet" if any(block.separable for block in sizes.blocks) else "Jasper"
    return Converted(f"{archive.toolkit}, {what}", sizes, tensors)


def make_filters() -> Array:
    """Return our mel filters: float, shape = (features, frequencies)."""
    return mel_filterbank(SAMPLE_RATE_HERTZ, FFT_LENGTH, NUM_FEATURES, max_hertz=SAMPLE_RATE_HERTZ / 2)


def read_blocks(config: Mapping[str, Any]) -> tuple[BlockConfig, ...]:
    encoder = read_section(config, "encoder", "ConvASREncoder")
    check_options("encoder", encoder, ENCODER, ("jasper", "norm_groups", "init_mode"))
    blocks = encoder.get("jasper")
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        raise InvalidArgument(f"encoder.jasper: expected a list of blocks, got {shorten(blocks)}")
    return tuple(read_block(f"encoder.jasper[{index}]", block) for index, block in enumerate(blocks))


def read_block(where: str, options: Mapping[str, Any]) -> BlockConfig:
    check_options(where, options, BLOCK, (*BLOCK_SIZES, *BLOCK_FLAGS, *BLOCK_IGNORED))
    # NeMo stores sizes per axis, in lists of one.
    sizes = {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in options.items()
    }
    residual, dense = (read_flag(where, options, name, default=False) for name in ("residual", "residual_dense"))
    if dense and not residual:
        raise InvalidArgument(f"{where}.residual_dense: expected false in a block that is not residual, got true")
    try:
        return BlockConfig(
            read_integer(where, sizes, "filters"),
            scale_kernel(where, sizes),
            *(read_integer(where, sizes, name) for name in ("repeat", "stride", "dilation")),
            residual=residual,
            dense=dense or not residual,
            separable=read_flag(where, options, "separable", default=False),
        )
    except InvalidArgument as error:
        raise error if str(error).startswith(where) else InvalidArgument(f"{where}: {error}") from error


def scale_kernel(where: str, sizes: Mapping[str, Any]) -> int:
    """Scale the kernel and round it up to an odd size, as NeMo does."""
    factor = read_number(where, sizes, "kernel_size_factor", default=1.0)
    return max(int(read_integer(where, sizes, "kernel") * factor), 1) | 1


def find_label_order(config: Mapping[str, Any]) -> list[int]:
    """Return the row of each of our labels in the file; the blank is the last in both."""
    decoder = read_section(config, "decoder", "ConvASRDecoder")
    check_options("decoder", decoder, DECODER, ("feat_in", "num_classes", "vocabulary", "init_mode"))
    labels = check_strings("decoder.vocabulary", decoder.get("vocabulary") or config.get("labels"))
    missing, surplus = [x for x in LABELS if x not in labels], [x for x in labels if x not in set(LABELS)]
    if missing or surplus or len(labels) != len(LABELS):
        raise InvalidArgument(
            f"decoder.vocabulary: expected the {len(LABELS)} labels of {LABELS!r}, in any order, got {len(labels)}, "
            f"without {shorten(missing)}, with {shorten(surplus)}"
        )
    return [*(labels.index(label) for label in LABELS), len(labels)]


def reorder_labels(tensors: Mapping[str, Tensor], order: list[int]) -> dict[str, Tensor]:
    rows = torch.tensor(order)
    return {
        key: tensor[rows] if key.startswith("decoder.layers.0.") and len(tensor) == len(order) else tensor
        for key, tensor in tensors.items()
    }


def read_log_mel_options(config: Mapping[str, Any]) -> LogMelOptions:
    """Return the options of the features that the network was trained on."""
    options = read_section(config, "preprocessor", "AudioToMelSpectrogramPreprocessor")
    check_options("preprocessor", options, FEATURES, ("log_zero_guard_value", *FEATURES_IGNORED))
    guard = options.get("log_zero_guard_value", USUAL_GUARD)
    number = parse_number(GUARDS.get(guard, guard) if isinstance(guard, str) else guard)
    if number is None or not 0 < number < 1:
        raise InvalidArgument(f"preprocessor.log_zero_guard_value: expected above 0 and below 1, got {shorten(guard)}")
    return LogMelOptions(log_offset=number, padding="zeros", partial_frame=False)
