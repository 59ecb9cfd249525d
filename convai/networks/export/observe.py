"""Describes tensors by what was seen of them: their dtype, and which axes vary."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from convai.description import pipeline
from convai.errors import InvalidArgument

DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
}


def describe(names: Sequence[str], samples: Iterable[Sequence[Tensor]]) -> tuple[pipeline.Tensor, ...]:
    return tuple(
        describe_tensor(name, tensors) for name, tensors in zip(names, zip(*samples, strict=True), strict=True)
    )


def describe_tensor(name: str, tensors: Sequence[Tensor]) -> pipeline.Tensor:
    """Return the description that fits all of these tensors, whose axis 0 is the batch axis."""
    kinds = {(tensor.dtype, tensor.ndim) for tensor in tensors}
    if len(kinds) > 1:
        got = " and ".join(sorted(f"{dtype} of rank {rank}" for dtype, rank in kinds))
        raise InvalidArgument(f"tensor {name}: expected one dtype and rank, got {got}")
    dtype, rank = kinds.pop()
    if dtype not in DTYPES:
        raise InvalidArgument(f"tensor {name}: expected one of {', '.join(map(str, DTYPES))}, got {dtype}")
    if rank < 2:
        raise InvalidArgument(
            f"tensor {name} has only a batch axis; Triton needs one more: [rows, 1] instead of [rows]"
        )
    sizes = [{tensor.shape[axis] for tensor in tensors} for axis in range(1, rank)]
    return pipeline.Tensor(name, DTYPES[dtype], tuple(size.pop() if len(size) == 1 else -1 for size in sizes))
