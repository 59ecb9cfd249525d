"""Reads Jasper as NVIDIA published it: the first version (`jasper_encoder...`) and the second, with or without EMA.

The files do not state strides and dilations, so of the known configurations the one that fits best is taken.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convai.networks.checkpoints.renames import Reading, RenameTable, key_problems, rename, tensors_in
from convai.networks.jasper.model import CONFIGS, Jasper, JasperConfig

RENAMES: RenameTable = (
    (r"^acoustic_model\.", None),
    (r"^audio_preprocessor\.", None),
    (r"^jasper_encoder\.encoder\.", "encoder.layers."),
    (r"^jasper_decoder\.decoder_layers\.", "decoder.layers."),
)
AVERAGED_WEIGHTS = "ema_state_dict"  # exponential moving average; what NVIDIA evaluates with


def read(contents: Mapping[str, Any], path: Path) -> Reading | None:
    averaged = contents.get(AVERAGED_WEIGHTS) is not None
    published = tensors_in(contents, AVERAGED_WEIGHTS if averaged else "state_dict")
    tensors = rename(published, RENAMES)
    if not any(key.startswith("encoder.layers.") for key in tensors):
        return None
    version = 1 if any(key.startswith("jasper_encoder.") for key in published) else 2
    layout = f"NVIDIA DeepLearningExamples, Jasper v{version}{', averaged weights (EMA)' if averaged else ''}"
    return Reading(layout, closest_config(tensors), tensors)


def closest_config(tensors: Mapping[str, Tensor]) -> JasperConfig:
    """Choose the configuration whose keys and shapes differ least from the tensors'."""
    return min(CONFIGS.values(), key=lambda config: len(key_problems(shapes_of(config), tensors)))


def shapes_of(config: JasperConfig) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return Jasper(config).state_dict()
