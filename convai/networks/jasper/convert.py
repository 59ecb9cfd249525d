"""Reads Jasper as NVIDIA published it: the first version (`jasper_encoder...`) and the second, with or without EMA.

The files do not state strides and dilations, so the known configuration that fits best is used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convai.networks.checkpoints.renames import Converted, RenameTable, closest_config, rename, select_tensors
from convai.networks.jasper.model import CONFIGS, Jasper

RENAMES: RenameTable = (
    (r"^acoustic_model\.", None),
    (r"^audio_preprocessor\.", None),
    (r"^jasper_encoder\.encoder\.", "encoder.layers."),
    (r"^jasper_decoder\.decoder_layers\.", "decoder.layers."),
)
AVERAGED_WEIGHTS = "ema_state_dict"  # exponential moving average; NVIDIA evaluates with it


def read(contents: Mapping[str, Any], path: Path) -> Converted | None:
    averaged = contents.get(AVERAGED_WEIGHTS) is not None
    published = select_tensors(contents, AVERAGED_WEIGHTS if averaged else "state_dict")
    tensors = rename(published, RENAMES)
    if not any(key.startswith("encoder.layers.") for key in tensors):
        return None
    version = 1 if any(key.startswith("jasper_encoder.") for key in published) else 2
    layout = f"NVIDIA DeepLearningExamples, Jasper v{version}{', averaged weights (EMA)' if averaged else ''}"
    return Converted(layout, closest_config(CONFIGS, Jasper, tensors), tensors)
