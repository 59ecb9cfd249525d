"""Reads Tacotron 2 as NVIDIA's DeepLearningExamples and NVIDIA/tacotron2 store it."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convai.errors import InvalidArgument
from convai.networks.checkpoints.renames import Converted, RenameTable, closest_config, rename, select_tensors
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
    config = read_stated_config(contents["config"], path)
    return Converted(f"{layout}, config stated", config, add_batch_counts(tensors))


def read_stated_config(stated: Mapping[str, Any], path: Path) -> Tacotron2Config:
    """Return the file's sizes and limits. Raises InvalidArgument for an option that our network does not have."""
    options = {name: value for name, value in stated.items() if name not in IGNORED_OPTIONS}
    unknown = sorted(options.keys() - {field.name for field in fields(Tacotron2Config)})
    if unknown:
        raise InvalidArgument(f"{path}: our Tacotron 2 does not have the options {', '.join(unknown)}")
    return Tacotron2Config(**options)


def add_batch_counts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the batch counts of normalisations, which PyTorch before 0.4.1 did not store and inference does not use."""
    norms = [key.removesuffix("running_mean") for key in tensors if key.endswith(".running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(tensors)
