"""Reads a checkpoint as NVIDIA, NeMo or Hugging Face publish it, and finds out which network it is of.

No code in the file runs. A `.nemo` file names its network. For other files, each network's `convert.py` has
`read(contents, path)`, which returns None for a file of another network.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from convai.errors import InvalidArgument, reading
from convai.networks.checkpoints.nemo_archive import read_archive
from convai.networks.checkpoints.pickled_module import read_pickled_module
from convai.networks.checkpoints.quantised import restore
from convai.networks.checkpoints.renames import Converted, check_keys
from convai.networks.checkpoints.weights import Weights, config_name_of, hash_file
from convai.networks.network import Network
from convai.networks.registry import NETWORKS

NEMO_SUFFIX = ".nemo"


@dataclass(frozen=True)
class Checkpoint:
    """A file whose network is known. `dtypes` counts the values that it stores in each dtype."""

    path: Path
    network: Network
    converted: Converted
    dtypes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        """Raise InvalidArgument if a key is missing, unexpected or misshapen."""
        expected = self.build_empty().state_dict()
        check_keys(expected, self.converted.tensors, f"{self.path} ({self.converted.layout})")

    @property
    def parameter_count(self) -> int:
        """Number of values that training changes, without statistics and counters."""
        return sum(parameter.numel() for parameter in self.build_empty().parameters())

    def build_empty(self) -> torch.nn.Module:
        with torch.device("meta"):
            return self.network.module_class(self.converted.config)

    def weights(self) -> Weights:
        """Return the tensors, all in FP32."""
        tensors = restore(self.converted.tensors)
        name = config_name_of(self.network, self.converted.config)
        return Weights(name, self.converted.config, str(self.path), hash_file(self.path), tensors)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises InvalidArgument if it is damaged, unsafe, or does not fit a network."""
    if not path.is_file():
        raise InvalidArgument(f"{path} is not a file")
    if path.suffix == NEMO_SUFFIX:
        network, converted = read_nemo(path)
        return Checkpoint(path, network, converted, count_values(converted.tensors))
    contents = read_contents(path)
    flat = all(isinstance(value, Tensor) for value in contents.values())
    for network in NETWORKS.values():
        # A flat file may be one of our own, with INT8 rows.
        with reading(path, "checkpoint"):
            converted = network.read_checkpoint(restore(contents) if flat else contents, path)
        if converted is not None:
            return Checkpoint(path, network, converted, count_values(contents if flat else converted.tensors))
    raise InvalidArgument(
        f"{path}: expected a checkpoint of {', '.join(NETWORKS)}, got one whose first keys are "
        f"{', '.join(map(str, list(contents)[:5])) or 'none'}"
    )


def read_nemo(path: Path) -> tuple[Network, Converted]:
    """Read an archive of NVIDIA NeMo.

    Raises InvalidArgument, with the option and its value, if its network works differently from ours.
    """
    archive = read_archive(path)
    target = str(archive.config.get("target", "")).rpartition(".")[2]
    for network in NETWORKS.values():
        if network.read_nemo and network.nemo_class == target:
            with reading(path, "NeMo model"):
                try:
                    return network, network.read_nemo(archive)
                except InvalidArgument as error:
                    raise InvalidArgument(f"{path} (NeMo {target}) is not supported: {error}") from error
    known = ", ".join(network.nemo_class for network in NETWORKS.values() if network.nemo_class)
    raise InvalidArgument(f"{path}: expected a NeMo model of class {known}, got {target or 'none'}")


def read_contents(path: Path) -> Mapping[str, Any]:
    """Read the dictionary in a safetensors file or a file written by torch.save."""
    if path.suffix == ".safetensors":
        with reading(path, "safetensors file"):
            return load_file(path)
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # damaged bytes raise errors of any class
        # More than tensors and plain values: either a pickled module of a known class, or refused.
        contents = read_pickled_module(path)
    if not isinstance(contents, Mapping):
        raise InvalidArgument(f"{path}: expected a dictionary of tensors, got {type(contents).__name__}")
    return contents


def count_values(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for tensor in tensors.values():
        counts[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    return dict(counts)
