"""Reads a checkpoint as NVIDIA or Hugging Face publish it, finding out which network it is of, and runs none of it.

A `.nemo` file says itself what it holds (nemo.py). For others, each network's `convert.py` has a table RENAMES and
`read(contents, path) -> Reading | None`, where `contents` is the file's dictionary and None means that the file is not
of this network.
"""

import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from convai.errors import InvalidArgument
from convai.networks.checkpoints.compact import restore
from convai.networks.checkpoints.nemo import SUFFIX, read_nemo
from convai.networks.checkpoints.pickled_module import read_pickled_module
from convai.networks.checkpoints.renames import Reading, check_keys
from convai.networks.checkpoints.weights import Weights, config_name_of, sha256_of
from convai.networks.registry import NETWORKS


@dataclass(frozen=True)
class Checkpoint:
    """A file that has been recognised. `dtypes` says how many values it stores in each dtype."""

    path: Path
    network: str
    reading: Reading
    dtypes: Mapping[str, int] = field(default_factory=dict)

    @property
    def parameter_count(self) -> int:
        """Values that training learned; statistics and counters are not among them."""
        with torch.device("meta"):
            module = NETWORKS[self.network].build(self.reading.config)
        return sum(parameter.numel() for parameter in module.parameters())

    def weights(self) -> Weights:
        """The tensors as FP32, whatever mixture of dtypes the file holds."""
        tensors = restore(self.reading.tensors)
        name = config_name_of(NETWORKS[self.network], self.reading.config)
        return Weights(name, self.reading.config, str(self.path), sha256_of(self.path), tensors)


def read_checkpoint(path: Path) -> Checkpoint:
    """Recognise and read a checkpoint.

    Raises InvalidArgument if it is damaged, unsafe or of no known network, or if a key is missing, unexpected or
    misshapen.
    """
    if path.suffix == SUFFIX and path.is_file():
        name, reading = read_nemo(path)
        check_keys(expected_keys(name, reading.config), reading.tensors, f"{path} ({reading.layout})")
        return Checkpoint(path, name, reading, count_values(reading.tensors))
    contents = read_contents(path)
    flat = all(isinstance(value, Tensor) for value in contents.values())
    for name in NETWORKS:
        # A flat file may be one of our own, with INT8 rows.
        reading = import_module(f"convai.networks.{name}.convert").read(restore(contents) if flat else contents, path)
        if reading is not None:
            check_keys(expected_keys(name, reading.config), reading.tensors, f"{path} ({reading.layout})")
            return Checkpoint(path, name, reading, count_values(contents if flat else reading.tensors))
    raise InvalidArgument(
        f"{path} is of no known network; allowed are checkpoints of {', '.join(NETWORKS)}; "
        f"its first keys are {', '.join(map(str, list(contents)[:5])) or 'none'}"
    )


def expected_keys(name: str, config: Any) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return NETWORKS[name].build(config).state_dict()


def read_contents(path: Path) -> Mapping[str, Any]:
    """Read the dictionary that a safetensors file or a file written by torch.save holds."""
    if not path.is_file():
        raise InvalidArgument(f"{path} is no file")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError):
        # It holds more than tensors and plain values; all that may be is a module of known kind.
        contents = read_pickled_module(path)
    if not isinstance(contents, Mapping):
        raise InvalidArgument(f"{path} holds {type(contents).__name__}; allowed is a dictionary of tensors")
    return contents


def read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InvalidArgument(f"{path} is no safetensors file: {error}") from error


def count_values(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for tensor in tensors.values():
        counts[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    return dict(counts)
