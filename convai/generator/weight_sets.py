"""Weight sets: the parameters of the Python steps that follow from the weights of the networks.

A set is a file such as weights/default.toml, with one table of parameters per Python step, and a table `networks` with
the sizes from which the largest tensor of each network follows.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from convai.description.pipeline import NETWORK_NAMES, PYTHON_STEP_NAMES, VOCODER_BIAS_FILE, VOICE_HOP_LENGTH
from convai.errors import InvalidArgument, reading
from convai.package_data import packaged

NetworkSizes = Mapping[str, int]
NETWORKS = "networks"  # the table of a file that is not of a Python step


@dataclass(frozen=True)
class WeightSet:
    """Parameters by Python step, and sizes by network; `mel_padder` must hold the sizes of WaveGlow."""

    name: str
    parameters: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, NetworkSizes] = field(default_factory=dict)

    def __post_init__(self):
        for network in self.networks:
            if network not in NETWORK_NAMES:
                self._refuse(NETWORKS, f"sizes of {', '.join(NETWORK_NAMES)}", network)
        for step, parameters in self.parameters.items():
            if step not in PYTHON_STEP_NAMES:
                self._refuse("table", f"one of {', '.join(PYTHON_STEP_NAMES)}", step)
            if not isinstance(parameters, Mapping):
                self._refuse(step, "a table of parameters", parameters)
            for parameter, value in parameters.items():
                if not isinstance(value, str | bool | int | float):  # lists are bucket sizes, which targets.py sets
                    self._refuse(f"{step}.{parameter}", "a string, a number or a boolean", value)
        if self.n_group < 1 or VOICE_HOP_LENGTH % self.n_group:
            self._refuse("mel_padder.n_group", f"a divisor of the {VOICE_HOP_LENGTH} samples of a frame", self.n_group)
        if self.receptive_field_frames < 0:
            self._refuse("mel_padder.receptive_field_frames", "at least 0", self.receptive_field_frames)

    @property
    def n_group(self) -> int:
        """Samples that WaveGlow generates at once."""
        return self._size("n_group")

    @property
    def receptive_field_frames(self) -> int:
        """Frames of padding after a mel, so that WaveGlow's last frame does not see the end."""
        return self._size("receptive_field_frames")

    def sizes_of(self, network: str) -> dict[str, int]:
        """The sizes from which the largest tensor of a network follows."""
        return {**self.networks[network], "n_group": self.n_group}

    def parameters_of(self, step: str) -> dict[str, Any]:
        """The parameters of a Python step."""
        parameters = dict(self.parameters.get(step, {}))
        if step == "mel_splitter":
            parameters = {"n_group": self.n_group, "context_frames": self.receptive_field_frames} | parameters
        if parameters.get("post_filter") == "denoiser":
            parameters["bias_file"] = VOCODER_BIAS_FILE
        return parameters

    def _size(self, parameter: str) -> int:
        size = self.parameters.get("mel_padder", {}).get(parameter)
        if type(size) is not int:
            self._refuse(f"mel_padder.{parameter}", "a whole number", size)
        return size

    def _refuse(self, parameter: str, expected: str, got: Any):
        raise InvalidArgument(f"weights {self.name}: {parameter}: expected {expected}, got {got!r}")


@cache
def read_weight_set(name: str, folder: Path | None = None) -> WeightSet:
    """Read <name>.toml. Raises InvalidArgument that names the file or the parameter that is wrong."""
    file = (folder or packaged("weights")) / f"{name}.toml"
    with reading(file, "TOML file"):
        parameters = tomllib.loads(file.read_text(encoding="utf-8"))
    networks = parameters.pop(NETWORKS, {})
    return WeightSet(name, parameters, networks)
