"""Reads Tacotron 2 as NVIDIA's DeepLearningExamples and NVIDIA/tacotron2 store it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convai.networks.checkpoints.renames import (
    Converted,
    RenameTable,
    build_config,
    closest_config,
    rename,
    select_tensors,
)
from convai.networks.tacotron2.model import CONFIGS, Tacotron2, Tacotron2Config

# Training on several GPUs and mixed precision each wrap the network once.
RENAMES: RenameTable = (
    (r"^module\.", ""),
    (r"^1\.", ""),
)
# Our network always masks padding, and always ends a row when its gate fires.
IGNORED_OPTIONS = ("mask_padding", "decoder_no_early_stopping")


def read(contents: Mapping[str, Any], path: Path) -> Converted | None:
    published = select_tensors(contents, "state_dict")
    tensors = rename(published, RENAMES)
    if not any(key.startswith("decoder.attention_rnn.") for key in tensors):
        return None
    layout = "NVIDIA Tacotron 2"
    if any(key.startswith("module.") for key in published):
        layout += ", wrapped (module.)"
    if "config" not in contents:
        config = closest_config(CONFIGS, Tacotron2, tensors)
        return Converted(f"{layout}, config not stated", config, add_batch_counts(tensors))
    stated = {name: value for name, value in contents["config"].items() if name not in IGNORED_OPTIONS}
    config = build_config(Tacotron2Config, stated, path)
    return Converted(f"{layout}, config stated", config, add_batch_counts(tensors))


def add_batch_counts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the batch counts of normalisations, which PyTorch before 0.4.1 did not store and inference does not use."""
    norms = [key.removesuffix("running_mean") for key in tensors if key.endswith(".running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(tensors)
