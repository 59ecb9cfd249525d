"""Reads Tacotron 2 as NVIDIA's DeepLearningExamples and NVIDIA/tacotron2 store it."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convai.errors import InvalidArgument
from convai.networks.checkpoints.renames import Reading, RenameTable, key_problems, rename, tensors_in
from convai.networks.tacotron2.model import CONFIGS, Tacotron2, Tacotron2Config

# Training on several GPUs, and in mixed precision, each wrapped the network once.
RENAMES: RenameTable = (
    (r"^module\.", ""),
    (r"^1\.", ""),
)
# Padding is always masked here, and a row always ends when its gate fires.
OPTIONS_WITHOUT_MEANING = ("mask_padding", "decoder_no_early_stopping")


def read(contents: Mapping[str, Any], path: Path) -> Reading | None:
    published = tensors_in(contents, "state_dict")
    tensors = rename(published, RENAMES)
    if not any(key.startswith("decoder.attention_rnn.") for key in tensors):
        return None
    layout = "NVIDIA Tacotron 2"
    if any(key.startswith("module.") for key in published):
        layout += ", wrapped (module.)"
    if "config" not in contents:
        return Reading(f"{layout}, config not stated", closest_config(tensors), with_batch_counts(tensors))
    return Reading(f"{layout}, config stated", stated_config(contents["config"], path), with_batch_counts(tensors))


def stated_config(stated: Mapping[str, Any], path: Path) -> Tacotron2Config:
    """Take the file's sizes and limits. Raises InvalidArgument for an option that this network does not have."""
    options = {name: value for name, value in stated.items() if name not in OPTIONS_WITHOUT_MEANING}
    unknown = sorted(options.keys() - {field.name for field in fields(Tacotron2Config)})
    if unknown:
        raise InvalidArgument(f"{path} states {', '.join(unknown)} in its config, which Tacotron 2 does not have")
    return Tacotron2Config(**options)


def closest_config(tensors: Mapping[str, Tensor]) -> Tacotron2Config:
    """Choose the configuration whose keys and shapes differ least from the tensors'."""
    return min(CONFIGS.values(), key=lambda config: len(key_problems(shapes_of(config), tensors)))


def shapes_of(config: Tacotron2Config) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return Tacotron2(config).state_dict()


def with_batch_counts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add what PyTorch before 0.4.1 did not store, and inference does not use: batches seen by each normalisation."""
    norms = [key.removesuffix("running_mean") for key in tensors if key.endswith(".running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(tensors)
