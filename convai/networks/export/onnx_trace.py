"""Traces a module into an ONNX model, as all of ours are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx
import torch
from torch import nn

Axes = Mapping[int, str]  # those whose size may vary, and what they are called

OPSET = 18  # has the layer normalisation of BERT as one operator; Triton 24.10's ONNX Runtime reads up to 21


def trace(
    module: nn.Module, inputs: tuple[Any, ...], axes: Sequence[Any], input_names: Iterable[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """
    Parameters
    ----------
    inputs : tensors, or tuples of them
    axes : of each input its `Axes`, in tuples as the inputs are
    input_names, outputs : of all tensors in a row
    """
    program = torch.onnx.export(
        module,
        inputs,
        input_names=list(input_names),
        output_names=list(outputs),
        dynamic_shapes=tuple(axes),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto
