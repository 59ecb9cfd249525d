"""Compares the outputs of an exported network with those of the network itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.networks.network import Network, Runner


@dataclass(frozen=True)
class CaseParity:
    """The largest absolute difference over all outputs of one case; infinite if a shape or dtype differs."""

    case: Mapping[str, int]
    largest_difference: float


class ParityError(InvalidArgument):
    """An export differs from its network by more than the tolerance."""


def compare(network: Network, config: object, module: nn.Module, run: Runner) -> list[CaseParity]:
    """Run the module and the export on every parity case of the network."""
    results = []
    for case in network.parity_cases:
        inputs = network.example_inputs(config, **case)
        with torch.inference_mode():
            expected = module(*inputs)
            got = run(inputs)
        results.append(CaseParity(case, largest_difference(expected, got)))
    return results


def largest_difference(expected: Tensor | Iterable[Tensor], got: Iterable[Tensor]) -> float:
    """Return the largest absolute difference between outputs; infinite if a value is finite on one side only."""
    expected = (expected,) if isinstance(expected, Tensor) else tuple(expected)
    return max(tensor_difference(one, other) for one, other in zip(expected, got, strict=True))


def tensor_difference(expected: Tensor, got: Tensor) -> float:
    if expected.shape != got.shape or expected.dtype != got.dtype:
        return float("inf")
    difference = (expected.double() - got.double()).abs()
    difference[expected == got] = 0  # equal infinities
    return difference.nan_to_num(nan=float("inf"), posinf=float("inf")).max().item() if difference.numel() else 0.0
