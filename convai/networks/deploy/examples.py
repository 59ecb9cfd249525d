"""Reads the example inputs of a user's network, and makes the batches that its export is checked on."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument, reading


@dataclass(frozen=True)
class Example:
    """One file of example inputs, by the names of forward's arguments, in order; axis 0 of each is the batch axis."""

    file_name: str
    inputs: Mapping[str, Tensor]

    def __post_init__(self):
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in self.inputs.items())
        sizes = {tensor.shape[0] if tensor.numel() and tensor.ndim else 0 for tensor in self.inputs.values()}
        if len(sizes) != 1 or 0 in sizes:
            raise InvalidArgument(
                f"{self.file_name}: expected the batch axis first, of one size in all arrays, none empty, got {shapes}"
            )

    @property
    def row_count(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def element_count(self) -> int:
        return sum(tensor.numel() for tensor in self.inputs.values())

    def batch(self, size: int) -> "Case":
        """Return the first rows, repeated if there are too few."""
        repeated = ", repeated" if size > self.row_count else ""
        rows = [index % self.row_count for index in range(size)]
        return self._case(f"{size} rows of {self.file_name}{repeated}", rows)

    def cases(self, max_batch_size: int) -> Iterator["Case"]:
        """Yield each row alone, the batch as it is, and the largest batch that the server makes."""
        for row in range(self.row_count):
            yield self._case(f"row {row} of {self.file_name} alone", [row])
        for size in sorted({min(self.row_count, max_batch_size), max_batch_size} - {1}):
            yield self.batch(size)

    def _case(self, description: str, rows: Sequence[int]) -> "Case":
        return Case(description, self, tuple(rows), tuple(tensor[list(rows)] for tensor in self.inputs.values()))


@dataclass(frozen=True)
class Case:
    """Rows of an example that form one batch."""

    description: str
    example: Example
    rows: tuple[int, ...]
    inputs: tuple[Tensor, ...]


def read_examples(paths: Sequence[Path], module: nn.Module) -> list[Example]:
    examples = [read_example(path, module) for path in paths]
    names = [list(example.inputs) for example in examples]
    if any(other != names[0] for other in names):
        got = " and ".join(map(", ".join, names))
        raise InvalidArgument(f"--inputs: expected the same arrays in all files, got {got}")
    return examples


def read_example(path: Path, module: nn.Module) -> Example:
    """Read an npz file whose arrays are named after the leading arguments of the network's forward."""
    arrays = read_arrays(path)
    arguments = inspect.signature(module.forward).parameters
    leading = list(arguments)[: len(arrays)]
    required = [name for name, argument in arguments.items() if argument.default is argument.empty]
    if not arrays or arrays.keys() != set(leading) or set(required) - arrays.keys():
        raise InvalidArgument(
            f"{path.name} holds {', '.join(arrays) or 'nothing'}, forward takes {', '.join(arguments)}: expected one "
            "array per argument, of its name, at least up to the last argument without a default"
        )
    return Example(path.name, {name: as_tensor(path, name, arrays[name]) for name in leading})


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with reading(path, "npz file of plain arrays, as numpy.savez writes it"), np.load(path) as file:
        return dict(file)


def as_tensor(path: Path, name: str, array: np.ndarray) -> Tensor:
    try:
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except TypeError as error:
        raise InvalidArgument(f"{path.name}: array {name} has dtype {array.dtype}, which PyTorch lacks") from error
