"""Fills a network with weights: those of a safetensors file, or seeded random ones if there is none."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from convai.networks.compact import restore
from convai.networks.registry import Network

DEFAULT_CONFIG = "mini"


@dataclass(frozen=True)
class Weights:
    """A network's tensors by name, and where they come from. Without tensors the network stays random."""

    config_name: str
    origin: str
    sha256: str | None = None
    tensors: Mapping[str, Tensor] = field(default_factory=dict, repr=False)


def find_weights(network: Network, folder: Path, config_name: str | None, seed: int) -> Weights:
    """Read `<folder>/<network>.safetensors` if it is there and holds the wanted configuration."""
    path = folder / f"{network.name}.safetensors"
    if path.exists() and config_name in (None, DEFAULT_CONFIG):
        return read_weights(path, config_name)
    return Weights(config_name or DEFAULT_CONFIG, origin=f"random, seed {seed}")


def read_weights(path: Path, config_name: str | None = None) -> Weights:
    """Read a safetensors file, stored as FP32, FP16 or compact; its metadata may name the configuration."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = restore({name: file.get_tensor(name) for name in file.keys()})
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
    name = config_name or metadata.get("config", DEFAULT_CONFIG)
    return Weights(name, origin=str(path), sha256=sha256_of(path), tensors=tensors)


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(network: Network, weights: Weights, seed: int) -> nn.Module:
    """Make the network, ready for inference. Raises ValueError if the weights do not fit it exactly."""
    torch.manual_seed(seed)
    module = network.build(config_of(network, weights.config_name))
    if weights.tensors:
        check_keys(module.state_dict(), weights.tensors, weights.origin)
        module.load_state_dict(weights.tensors)
    return module.eval().requires_grad_(False)


def config_of(network: Network, name: str) -> object:
    if name not in network.configs:
        raise ValueError(f"{network.name} has no configuration {name!r}; it has {', '.join(network.configs)}")
    return network.configs[name]


def check_keys(expected: Mapping[str, Tensor], got: Mapping[str, Tensor], origin: str) -> None:
    """Raise ValueError listing every missing, unexpected and misshapen key."""
    problems = [f"missing {key}" for key in expected if key not in got]
    problems += [f"unexpected {key}" for key in got if key not in expected]
    problems += [
        f"{key} has shape {tuple(got[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in got and got[key].shape != tensor.shape
    ]
    if problems:
        raise ValueError(f"{origin} does not fit the network:\n  " + "\n  ".join(problems))
