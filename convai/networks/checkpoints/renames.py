"""Renames the keys of published checkpoints to those of our networks, by one table per network, and checks them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument

# (pattern, replacement), as re.sub takes them; None as the replacement drops the tensor.
RenameTable = tuple[tuple[str, str | None], ...]

Config = TypeVar("Config")


@dataclass(frozen=True)
class Converted:
    """A checkpoint in our terms: the layout that was found, the network's configuration, tensors under our keys."""

    layout: str
    config: Any  # the network's own dataclass
    tensors: Mapping[str, Tensor] = field(repr=False)


def rename(tensors: Mapping[str, Tensor], table: RenameTable) -> dict[str, Tensor]:
    """Apply every row of the table, in order, to every key. Raises InvalidArgument if two keys become the same."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        new_key = rename_key(key, table)
        if new_key in renamed:
            raise InvalidArgument(f"{key} and another key both become {new_key}")
        if new_key is not None:
            renamed[new_key] = tensor
    return renamed


def rename_key(key: str, table: RenameTable) -> str | None:
    for pattern, replacement in table:
        if replacement is None:
            if re.search(pattern, key):
                return None
        else:
            key = re.sub(pattern, replacement, key)
    return key


def select_tensors(contents: Mapping[str, Any], key: str) -> dict[str, Tensor]:
    """Return the tensors in contents[key], or in the contents themselves if they have no such key."""
    state_dict = contents.get(key, contents)
    if not isinstance(state_dict, Mapping):
        return {}
    return {name: value for name, value in state_dict.items() if isinstance(value, Tensor)}


def find_size(tensors: Mapping[str, Tensor], key: str, axis: int, default: int) -> int:
    """Return the size of a tensor's axis, or `default` if it is missing, so that the check of the keys lists it."""
    return tensors[key].shape[axis] if key in tensors else default


def closest_config(
    configs: Mapping[str, Config], build: Callable[[Config], nn.Module], tensors: Mapping[str, Tensor]
) -> Config:
    """Return the configuration whose keys and shapes differ least from those of the tensors."""

    def count_problems(config: Config) -> int:
        with torch.device("meta"):
            return len(list_key_problems(build(config).state_dict(), tensors))

    return min(configs.values(), key=count_problems)


def build_config(config_class: Callable[..., Config], stated: Mapping[str, Any], path: Path) -> Config:
    """Return the configuration that a file states. Raises InvalidArgument for an option that the class lacks."""
    if unknown := sorted(stated.keys() - signature(config_class).parameters.keys()):
        raise InvalidArgument(f"{path}: our network does not have the options {', '.join(unknown)}")
    return config_class(**stated)


def list_key_problems(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
    """Name every missing, unexpected and misshapen key."""
    missing = [f"missing {key}" for key in expected if key not in got]
    unexpected = [f"unexpected {key}" for key in got if key not in expected]
    misshapen = [
        f"{key} has shape {tuple(got[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in got and got[key].shape != tensor.shape
    ]
    return missing + unexpected + misshapen


def check_keys(expected: Mapping[str, Tensor], got: Mapping[str, Tensor], origin: str) -> None:
    """Raise InvalidArgument listing every key that does not fit."""
    problems = list_key_problems(expected, got)
    if problems:
        raise InvalidArgument(f"{origin} does not fit the network:\n  " + "\n  ".join(problems))
