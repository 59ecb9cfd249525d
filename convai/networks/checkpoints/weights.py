"""Fills a network with weights: those of a safetensors file, or seeded random ones if there is none."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.networks.checkpoints.compact import restore
from convai.networks.checkpoints.renames import check_keys
from convai.networks.registry import Network

DEFAULT_CONFIG = "mini"
HASHED_BYTES = 2**20  # at a time
SMALL_DEVIATION = 0.02


@dataclass(frozen=True)
class Weights:
    """A network's sizes and tensors, and where they come from. Without tensors the network stays random."""

    config_name: str
    config: Any  # the network's own dataclass
    origin: str
    sha256: str | None = None
    tensors: Mapping[str, Tensor] = field(default_factory=dict, repr=False)


def find_weights(network: Network, folder: Path, config_name: str | None, seed: int) -> Weights:
    """Read `<folder>/<network>.safetensors` if it is there and holds the wanted configuration.

    Its origin is told without the folder's own place, which would make exports of one file differ between machines.
    """
    path = folder / f"{network.name}.safetensors"
    if path.exists() and config_name in (None, DEFAULT_CONFIG):
        return replace(read_weights(network, path, config_name), origin=f"{folder.name}/{path.name}")
    return random_weights(network, config_name or DEFAULT_CONFIG, seed)


def random_weights(network: Network, config_name: str, seed: int) -> Weights:
    return Weights(config_name, config_of(network, config_name), origin=f"random, seed {seed}")


def read_weights(network: Network, path: Path, config_name: str | None = None) -> Weights:
    """Read a safetensors file, stored as FP32, FP16 or INT8 with scales; its metadata may name the configuration."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it cannot be iterated over
    except SafetensorError as error:
        raise InvalidArgument(f"{path} is no safetensors file: {error}") from error
    name = config_name or metadata.get("config", DEFAULT_CONFIG)
    return Weights(name, config_of(network, name), str(path), sha256_of(path), restore(tensors))


def with_options(weights: Weights, options: Iterable[str]) -> Weights:
    """Change fields of the configuration by texts like "sigma=0.6", whose values are JSON."""
    changes = dict(parsed_option(weights.config, option) for option in options)
    return replace(weights, config=replace(weights.config, **changes))


def parsed_option(config: object, option: str) -> tuple[str, object]:
    name, _, text = option.partition("=")
    if name not in vars(config):
        raise InvalidArgument(f"{name!r} is no field of the configuration; allowed are {', '.join(vars(config))}")
    kind = type(getattr(config, name))
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidArgument(
            f"{option!r} must be NAME=VALUE, with a value of type {kind.__name__} as in JSON"
        ) from error
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InvalidArgument(f"{name} must be of type {kind.__name__}, got {value!r}")
    return name, value


def config_of(network: Network, name: str) -> object:
    if name not in network.configs:
        raise InvalidArgument(f"{network.name} has no configuration {name!r}; it has {', '.join(network.configs)}")
    return network.configs[name]


def config_name_of(network: Network, config: object) -> str:
    """The name of a configuration; "custom" if it has none."""
    return next((name for name, known in network.configs.items() if known == config), "custom")


def build(network: Network, weights: Weights, seed: int) -> nn.Module:
    """Make the network, ready for inference. Raises InvalidArgument if the weights do not fit it exactly."""
    torch.manual_seed(seed)
    module = network.build(weights.config)
    if weights.tensors:
        check_keys(module.state_dict(), weights.tensors, weights.origin)
        module.load_state_dict(weights.tensors)
    else:
        fill_zeros(module)
    return module.eval().requires_grad_(False)


@torch.no_grad()
def fill_zeros(module: nn.Module) -> None:
    """Give parameters that start as zeros random values: what they multiply would never be checked by an export."""
    for parameter in module.parameters():
        if not parameter.any():
            parameter.normal_(std=SMALL_DEVIATION)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(HASHED_BYTES):
            digest.update(block)
    return digest.hexdigest()
