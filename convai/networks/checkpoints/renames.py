"""Turns the key names of published checkpoints into those of our networks, by one table per network; checks them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from convai.errors import InvalidArgument

# (pattern, replacement), as re.sub takes them; None as the replacement drops the tensor.
RenameTable = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Reading:
    """What a network's `read` makes of a checkpoint: the layout it found, the sizes, the tensors under our keys."""

    layout: str
    config: Any  # the network's own dataclass
    tensors: Mapping[str, Tensor] = field(repr=False)


def rename(tensors: Mapping[str, Tensor], table: RenameTable) -> dict[str, Tensor]:
    """Apply every row of the table, in order, to every key. Raises InvalidArgument if two keys become the same."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        new_key = new_name(key, table)
        if new_key in renamed:
            raise InvalidArgument(f"{key} and another key both stand for {new_key}")
        if new_key is not None:
            renamed[new_key] = tensor
    return renamed


def new_name(key: str, table: RenameTable) -> str | None:
    for pattern, replacement in table:
        if replacement is None:
            if re.search(pattern, key):
                return None
        else:
            key = re.sub(pattern, replacement, key)
    return key


def tensors_in(contents: Mapping[str, Any], key: str) -> dict[str, Tensor]:
    """The tensors of contents[key], or of the contents themselves if they have no such key."""
    state_dict = contents.get(key, contents)
    if not isinstance(state_dict, Mapping):
        return {}
    return {name: value for name, value in state_dict.items() if isinstance(value, Tensor)}


def key_problems(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
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
    problems = key_problems(expected, got)
    if problems:
        raise InvalidArgument(f"{origin} does not fit the network:\n  " + "\n  ".join(problems))
