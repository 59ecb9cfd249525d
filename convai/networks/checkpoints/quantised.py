"""Stores weights as FP16, and chosen matrices as INT8 with one FP16 scale per row.

A quantised matrix `name` lies in the file as `name` (int8) and `name.scale` (float16, one per row):
weight[row, column] = name[row, column] * name.scale[row].
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from convai.errors import InvalidArgument

SCALE_SUFFIX = ".scale"
LARGEST_INT8 = 127


def save(
    path: Path, tensors: Mapping[str, Tensor], *, int8: Collection[str] = (), metadata: Mapping[str, str] | None = None
):
    """Write a safetensors file; `int8` names the matrices to quantise, `metadata` may name the configuration."""
    save_file(quantise(tensors, int8), path, metadata=dict(metadata or {}))


def load(path: Path) -> dict[str, Tensor]:
    """Read a file that `save` wrote, or any other safetensors file; floating-point tensors come as FP32."""
    return restore(load_file(path))


def quantise(tensors: Mapping[str, Tensor], int8: Collection[str] = ()) -> dict[str, Tensor]:
    """Convert floating-point tensors to FP16, and the named matrices to INT8 with a scale.

    Raises InvalidArgument if a name is unknown or not of a matrix, or if a value is not finite in FP16.
    """
    unsuitable = [name for name in int8 if name not in tensors or tensors[name].dim() < 2]
    if unsuitable:
        raise InvalidArgument(f"int8: expected names of matrices among the weights, got {', '.join(unsuitable)}")
    small = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    infinite = [name for name, tensor in small.items() if not torch.isfinite(tensor).all()]
    if infinite:
        raise InvalidArgument(f"expected weights that FP16 can hold, below 65,504; {', '.join(infinite)} exceeds them")
    for name in int8:
        small[name], small[name + SCALE_SUFFIX] = quantise_rows(tensors[name])
    return {name: tensor.contiguous() for name, tensor in small.items()}


def restore(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `quantise`: return every floating-point or quantised tensor in FP32."""
    quantised = {
        name for name, tensor in tensors.items() if tensor.dtype == torch.int8 and name + SCALE_SUFFIX in tensors
    }
    restored = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    for name in quantised:
        restored[name] = dequantise_rows(tensors[name], restored.pop(name + SCALE_SUFFIX))
    return restored


def quantise_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row to multiples of its largest magnitude / 127.

    Parameters
    ----------
    weight : float, shape = (rows, ...)

    Returns
    -------
    quantised : int8, shape = (rows, ...)
    scale : float16, shape = (rows,)
    """
    largest = weight.float().flatten(1).abs().amax(dim=1)
    # FP16 holds nothing smaller; a row that small, such as one of zeros, becomes zeros.
    scale = (largest / LARGEST_INT8).clamp(min=torch.finfo(torch.float16).smallest_normal).half()
    steps = weight.float() / expand_rows(scale.float(), weight)
    return steps.round().clamp(-LARGEST_INT8, LARGEST_INT8).to(torch.int8), scale


def dequantise_rows(quantised: Tensor, scale: Tensor) -> Tensor:
    """Undo `quantise_rows`, apart from its rounding: float32, shape = (rows, ...)."""
    return quantised.float() * expand_rows(scale.float(), quantised)


def as_stored(weight: Tensor) -> Tensor:
    """Return a matrix as INT8 restores it, with the gradient of the matrix itself.

    This is the straight-through estimator of Bengio et al., "Estimating or Propagating Gradients Through Stochastic
    Neurons for Conditional Computation", 2013.
    """
    fixed = weight.detach()
    return weight + (dequantise_rows(*quantise_rows(fixed)) - fixed)


def expand_rows(values: Tensor, weight: Tensor) -> Tensor:
    """Reshape (rows,) so that it broadcasts over `weight`, whose shape is (rows, ...)."""
    return values.reshape(-1, *[1] * (weight.dim() - 1))
