"""Loads a network's weights from a safetensors file, or draws them at random if there is none."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from convai.errors import InvalidArgument, reading
from convai.networks.checkpoints.quantised import restore
from convai.networks.checkpoints.renames import check_keys
from convai.networks.network import Network

DEFAULT_CONFIG = "mini"
SMALL_DEVIATION = 0.02


@dataclass(frozen=True)
class Weights:
    """A network's configuration and tensors, and their origin. Without tensors the network stays random."""

    config_name: str
    config: Any  # the network's own dataclass
    origin: str
    sha256: str | None = None
    tensors: Mapping[str, Tensor] = field(default_factory=dict, repr=False)


def find_weights(network: Network, folder: Path, config_name: str | None, seed: int) -> Weights:
    """Read `<folder>/<network>.safetensors` if it exists and the default configuration is asked for.

    The recorded origin leaves out the folder's parents, so that exports of one file are equal on all machines.
    """
    path = folder / f"{network.name}.safetensors"
    if path.exists() and config_name in (None, DEFAULT_CONFIG):
        return replace(read_weights(network, path, config_name), origin=f"{folder.name}/{path.name}")
    return random_weights(network, config_name or DEFAULT_CONFIG, seed)


def random_weights(network: Network, config_name: str, seed: int) -> Weights:
    return Weights(config_name, find_config(network, config_name), origin=f"random, seed {seed}")


def read_weights(network: Network, path: Path, config_name: str | None = None) -> Weights:
    """Read a safetensors file, stored as FP32, FP16 or INT8 with scales; its metadata may name the configuration."""
    with reading(path, "safetensors file"), safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is not iterable
    name = config_name or metadata.get("config", DEFAULT_CONFIG)
    return Weights(name, find_config(network, name), str(path), hash_file(path), restore(tensors))


def apply_options(weights: Weights, options: Iterable[str]) -> Weights:
    """Change fields of the configuration by strings like "sigma=0.6", whose values are JSON."""
    changes = dict(parse_option(weights.config, option) for option in options)
    return replace(weights, config=replace(weights.config, **changes))


def parse_option(config: object, option: str) -> tuple[str, object]:
    name, _, text = option.partition("=")
    if name not in vars(config):
        raise InvalidArgument(f"--set: expected one of {', '.join(vars(config))}, got {name!r}")
    kind = type(getattr(config, name))
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"--set: expected NAME=VALUE with a JSON {kind.__name__}, got {option!r}") from error
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InvalidArgument(f"{name}: expected a value of type {kind.__name__}, got {value!r}")
    return name, value


def find_config(network: Network, name: str) -> object:
    if name not in network.configs:
        raise InvalidArgument(f"{network.name}: expected a configuration of {', '.join(network.configs)}, got {name!r}")
    return network.configs[name]


def config_name_of(network: Network, config: object) -> str:
    """Return the name of a configuration, or "custom"."""
    return next((name for name, known in network.configs.items() if known == config), "custom")


def build(network: Network, weights: Weights, seed: int) -> nn.Module:
    """Build the network for inference. Raises InvalidArgument if the weights do not fit it exactly."""
    torch.manual_seed(seed)
    module = network.module_class(weights.config)
    if weights.tensors:
        check_keys(module.state_dict(), weights.tensors, weights.origin)
        module.load_state_dict(weights.tensors)
    else:
        fill_zeros(module)
    return module.eval().requires_grad_(False)


@torch.no_grad()
def fill_zeros(module: nn.Module) -> None:
    """Draw parameters that start as zeros: the parity check would never notice errors in what they multiply."""
    for parameter in module.parameters():
        if not parameter.any():
            parameter.normal_(std=SMALL_DEVIATION)


def hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
