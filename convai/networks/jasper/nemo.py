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
from convai.networks.checkpoints.nemo_options import brief, check, check_filters, flag, number_of, section, texts, whole
from convai.networks.checkpoints.renames import Reading, RenameTable, rename
from convai.networks.jasper.config import BlockConfig, JasperConfig

RENAMES: RenameTable = (
    (r"^preprocessor\.featurizer\.(fb|window)$", None),
    # A convolution with a mask keeps its weight one level deeper.
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
# Dropout acts while training only; a block that strides does so once.
BLOCK_WITHOUT_MEANING = ("dropout", "stride_last", "se_reduction_ratio", "se_context_size", "se_interpolation_mode")
DECODER = {"add_blank": True}
FEATURES = {
    "sample_rate": SAMPLE_RATE_HERTZ, "n_fft": FFT_LENGTH, "window": "hann", "preemph": PREEMPHASIS,
    "features": NUM_FEATURES, "lowfreq": 0, "highfreq": (None, SAMPLE_RATE_HERTZ // 2), "mel_norm": "slaney",
    "mag_power": 2.0, "log": True, "log_zero_guard_type": "add", "normalize": "per_feature", "frame_splicing": 1,
    "exact_pad": False,
    "window_size": (None, WINDOW_LENGTH / SAMPLE_RATE_HERTZ), "n_window_size": (None, WINDOW_LENGTH),
    "window_stride": (None, HOP_LENGTH / SAMPLE_RATE_HERTZ), "n_window_stride": (None, HOP_LENGTH),
}  # fmt: skip
# Padding is masked, dither and narrow bands belong to training, and NeMo itself no longer reads the last three.
FEATURES_WITHOUT_MEANING = (
    *("pad_to", "pad_value", "dither", "nb_augmentation_prob", "nb_max_freq", "rng"),
    *("stft_conv", "stft_exact_pad", "use_torchaudio"),
)
GUARDS = {"tiny": float(np.finfo(np.float32).tiny), "eps": float(np.finfo(np.float32).eps)}
USUAL_GUARD = 2**-24


def read(archive: NemoArchive) -> Reading:
    config = archive.config
    check("model", {"sample_rate": config.get("sample_rate", SAMPLE_RATE_HERTZ)}, FEATURES, ())
    check_filters(archive.tensors, "preprocessor.featurizer.fb", filters())
    sizes = JasperConfig(blocks=blocks_of(config), log_mel=log_mel_of(config))
    tensors = in_our_order(rename(archive.tensors, RENAMES), label_order(config))
    what = "QuartzNet" if any(block.separable for block in sizes.blocks) else "Jasper"
    return Reading(f"{archive.toolkit}, {what}", sizes, tensors)


def filters() -> Array:
    return mel_filterbank(SAMPLE_RATE_HERTZ, FFT_LENGTH, NUM_FEATURES, max_hertz=SAMPLE_RATE_HERTZ / 2)


def blocks_of(config: Mapping[str, Any]) -> tuple[BlockConfig, ...]:
    encoder = section(config, "encoder", "ConvASREncoder")
    check("encoder", encoder, ENCODER, ("jasper", "norm_groups", "init_mode"))
    blocks = encoder.get("jasper")
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        raise InvalidArgument(f"encoder.jasper is {brief(blocks)}; allowed is a list of blocks")
    return tuple(block_of(f"encoder.jasper[{index}]", block) for index, block in enumerate(blocks))


def block_of(where: str, options: Mapping[str, Any]) -> BlockConfig:
    check(where, options, BLOCK, (*BLOCK_SIZES, *BLOCK_FLAGS, *BLOCK_WITHOUT_MEANING))
    # NeMo keeps what may differ per axis in lists of one.
    sizes = {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in options.items()
    }
    residual, dense = (flag(where, options, name, default=False) for name in ("residual", "residual_dense"))
    if dense and not residual:
        raise InvalidArgument(f"{where}.residual_dense is true; allowed is that in a residual block only")
    try:
        return BlockConfig(
            whole(where, sizes, "filters"),
            scaled_kernel(where, sizes),
            *(whole(where, sizes, name) for name in ("repeat", "stride", "dilation")),
            residual=residual,
            dense=dense or not residual,
            separable=flag(where, options, "separable", default=False),
        )
    except InvalidArgument as error:
        raise error if str(error).startswith(where) else InvalidArgument(f"{where}: {error}") from error


def scaled_kernel(where: str, sizes: Mapping[str, Any]) -> int:
    """NeMo makes every kernel odd."""
    factor = number_of(sizes.get("kernel_size_factor", 1.0))
    if factor is None:
        raise InvalidArgument(
            f"{where}.kernel_size_factor is {brief(sizes['kernel_size_factor'])}; allowed is a number"
        )
    return max(int(whole(where, sizes, "kernel") * factor), 1) | 1


def label_order(config: Mapping[str, Any]) -> list[int]:
    """Where the file keeps each of our labels; the blank comes last in both."""
    decoder = section(config, "decoder", "ConvASRDecoder")
    check("decoder", decoder, DECODER, ("feat_in", "num_classes", "vocabulary", "init_mode"))
    labels = texts("decoder.vocabulary", decoder.get("vocabulary") or config.get("labels"))
    missing, surplus = [x for x in LABELS if x not in labels], [x for x in labels if x not in set(LABELS)]
    if missing or surplus or len(labels) != len(LABELS):
        raise InvalidArgument(
            f"decoder.vocabulary has {len(labels)} labels, without {brief(missing)}, with {brief(surplus)}; "
            f"allowed are the {len(LABELS)} of {LABELS!r}, in any order"
        )
    return [*(labels.index(label) for label in LABELS), len(labels)]


def in_our_order(tensors: Mapping[str, Tensor], order: list[int]) -> dict[str, Tensor]:
    rows = torch.tensor(order)
    return {
        key: tensor[rows] if key.startswith("decoder.layers.0.") and len(tensor) == len(order) else tensor
        for key, tensor in tensors.items()
    }


def log_mel_of(config: Mapping[str, Any]) -> LogMelOptions:
    """The features that the file was trained with, as NeMo makes them today."""
    options = section(config, "preprocessor", "AudioToMelSpectrogramPreprocessor")
    check("preprocessor", options, FEATURES, ("log_zero_guard_value", *FEATURES_WITHOUT_MEANING))
    guard = options.get("log_zero_guard_value", USUAL_GUARD)
    number = number_of(GUARDS.get(guard, guard) if isinstance(guard, str) else guard)
    if number is None or not 0 < number < 1:
        raise InvalidArgument(f"preprocessor.log_zero_guard_value is {brief(guard)}; allowed is above 0 and below 1")
    return LogMelOptions(log_offset=number, padding="zeros", partial_frame=False)
