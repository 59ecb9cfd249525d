"""Traces a network to TorchScript, and notes what the trace fixes although the network decides it from its inputs."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # pyright: ignore[reportPrivateImportUsage]  public by its documentation

from convai.networks.deploy.interface import Interface


def write_trace(interface: Interface, module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    # Not checked here: the parity gate does that, on more than these inputs.
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(module, inputs, check_trace=False), path)


@contextmanager
def noted_decisions() -> Iterator[list[str]]:
    """Lines of code, like "sort.py, line 12", where a value went from a tensor to Python while tracing."""
    places = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield places
    for warning in caught:
        place = f"{Path(warning.filename).name}, line {warning.lineno}"
        if issubclass(warning.category, TracerWarning) and place not in places:
            places.append(place)
