"""Traces a module into an ONNX model, with the options that all exports share."""

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
import torch
from torch import nn

OPSET = 18  # has the layer normalisation of BERT as one operator; Triton 24.10's ONNX Runtime reads up to 21


def trace(
    module: nn.Module, inputs: tuple[Any, ...], axes: Sequence[Any], input_names: Iterable[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Export a module with PyTorch's exporter.

    Parameters
    ----------
    inputs : tensors, or tuples of them
    axes : the `Axes` of each input, nested in tuples as the inputs are
    input_names, outputs : the names of all tensors, flattened
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
