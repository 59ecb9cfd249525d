"""Writes a network as an ONNX file, runs it with ONNX Runtime, and keeps its record in the file's properties."""

import json
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn

from convai.errors import reading
from convai.networks.export.onnx_loop import trace_loop
from convai.networks.export.onnx_trace import trace
from convai.networks.export.quiet import quiet_exporter
from convai.networks.network import Interface, Runner, Tensors

RECORD = "convai.json"


def write(interface: Interface, module: nn.Module, inputs: Tensors, path: Path) -> None:
    axes = {tensor.name: interface.variable_axes[tensor.name] for tensor in interface.step.inputs}
    outputs = [tensor.name for tensor in interface.step.outputs]
    with quiet_exporter():
        if interface.split_loop:
            model = trace_loop(interface.split_loop(module), inputs, axes, outputs)
        else:
            model = trace(module, inputs, tuple(axes.values()), axes, outputs)
    onnx.save(model, path)


def open_runner(interface: Interface, path: Path) -> Runner:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    input_names = [tensor.name for tensor in interface.step.inputs]
    output_names = [tensor.name for tensor in interface.step.outputs]

    def run(inputs: Tensors) -> Tensors:
        arrays = {name: tensor.numpy() for name, tensor in zip(input_names, inputs, strict=True)}
        return tuple(torch.from_numpy(array) for array in session.run(output_names, arrays))

    return run


def add_record(path: Path, record: Mapping) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {RECORD: json.dumps(record)})
    onnx.save(model, path)


def read_record(path: Path) -> Mapping:
    with reading(path, "ONNX file"):
        properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return json.loads(properties.get(RECORD, "{}"))
