"""Sets of weights, and what each needs of the steps around its networks; the numbers lie beside the weights.

A set is a file like weights/default.toml: a table for each Python step, with its parameters.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convai.description.pipeline import PYTHON_STEP_NAMES, VOCODER_BIAS_FILE, VOICE_HOP_LENGTH
from convai.package_data import packaged


@dataclass(frozen=True)
class WeightSet:
    """Parameters of the Python steps that follow from the weights, by step; WaveGlow's sizes must be among them."""

    name: str
    parameters: Mapping[str, Mapping[str, Any]]

    def __post_init__(self):
        for step, parameters in self.parameters.items():
            if step not in PYTHON_STEP_NAMES:
                raise ValueError(f"weights {self.name}: [{step}] must be one of {', '.join(PYTHON_STEP_NAMES)}")
            if not isinstance(parameters, Mapping):
                raise ValueError(f"weights {self.name}: {step} must be a table of parameters, got {parameters!r}")
            for parameter, value in parameters.items():
                if not isinstance(value, str | bool | int | float):
                    # Lists are bucket sizes, which belong to a machine.
                    rule = "must be a text, a number, true or false"
                    raise ValueError(f"weights {self.name}: {step}.{parameter} {rule}, got {value!r}")
        if self.n_group < 1 or VOICE_HOP_LENGTH % self.n_group:
            rule = f"must divide the {VOICE_HOP_LENGTH} samples of a frame"
            raise ValueError(f"weights {self.name}: mel_padder.n_group {rule}, got {self.n_group}")
        if self.receptive_field_frames < 0:
            got = self.receptive_field_frames
            raise ValueError(f"weights {self.name}: mel_padder.receptive_field_frames must be at least 0, got {got}")

    @property
    def n_group(self) -> int:
        """Samples that WaveGlow makes at once."""
        return self._size("n_group")

    @property
    def receptive_field_frames(self) -> int:
        """Frames of padding behind a mel that WaveGlow must not hear the end of."""
        return self._size("receptive_field_frames")

    def parameters_of(self, step: str) -> dict[str, Any]:
        """What a Python step is to be set to; what an export writes for it is found under its own name."""
        parameters = dict(self.parameters.get(step, {}))
        if step == "mel_splitter":
            parameters = {"n_group": self.n_group, "context_frames": self.receptive_field_frames} | parameters
        if parameters.get("post_filter") == "denoiser":
            parameters["bias_file"] = VOCODER_BIAS_FILE
        return parameters

    def _size(self, parameter: str) -> int:
        size = self.parameters.get("mel_padder", {}).get(parameter)
        if type(size) is not int:
            raise ValueError(f"weights {self.name}: mel_padder.{parameter} must be a whole number, got {size!r}")
        return size


def read_weight_set(name: str, folder: Path | None = None) -> WeightSet:
    """Read <name>.toml. Raises ValueError that names the file or the field that is wrong."""
    file = (folder or packaged("weights")) / f"{name}.toml"
    try:
        return WeightSet(name, tomllib.loads(file.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is no TOML: {error}") from error


DEFAULT_WEIGHTS = read_weight_set("default")
NVIDIA_WEIGHTS = read_weight_set("nvidia")
