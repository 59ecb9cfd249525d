"""Writes a network as an ONNX file, runs it with ONNX Runtime, and keeps its record in the file's properties."""

import json
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.networks.export.onnx_loop import trace_parts
from convai.networks.export.onnx_trace import trace
from convai.networks.export.quiet import quiet_exporter
from convai.networks.registry import Network, Runner

RECORD = "convai.json"


def write(network: Network, module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    axes = {tensor.name: network.variable_axes[tensor.name] for tensor in network.step.inputs}
    outputs = [tensor.name for tensor in network.step.outputs]
    parts = network.loop_parts(module)
    with quiet_exporter():
        if parts is None:
            model = trace(module, inputs, tuple(axes.values()), axes, outputs)
        else:
            model = trace_parts(parts, inputs, axes, outputs)
    onnx.save(model, path)


def open_runner(network: Network, path: Path) -> Runner:
    import onnxruntime  # NVIDIA's container has none, and needs none to build plans

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    input_names = [tensor.name for tensor in network.step.inputs]
    output_names = [tensor.name for tensor in network.step.outputs]

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        arrays = {name: tensor.numpy() for name, tensor in zip(input_names, inputs, strict=True)}
        return tuple(torch.from_numpy(array) for array in session.run(output_names, arrays))

    return run


def add_record(path: Path, record: Mapping) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {RECORD: json.dumps(record)})
    onnx.save(model, path)


def read_record(path: Path) -> Mapping:
    try:
        properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    except DecodeError as error:
        raise InvalidArgument(f"{path} is no ONNX file: {error}") from error
    return json.loads(properties.get(RECORD, "{}"))
