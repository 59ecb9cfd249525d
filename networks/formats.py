"""Writes a network as an ONNX or TorchScript file with a record of its origin inside, and runs such a file."""

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from convai.generator.settings import MODEL_FILES
from convai.networks.registry import Network

ONNX_OPSET = 18  # the first with the layer normalisation of BERT done right, long read by ONNX Runtime and TensorRT
RECORD = "convai.json"  # under this name a file carries its record

Runner = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Format:
    """One kind of exported file: the engine it is for, and how it is written, opened to run, and read.

    read_record raises ValueError if the file is damaged, and gives an empty record if it carries none.
    """

    engine: str
    write: Callable[[Network, nn.Module, tuple[Tensor, ...], Path], None]
    open: Callable[[Network, Path], Runner]
    add_record: Callable[[Path, Mapping], None]
    read_record: Callable[[Path], Mapping]

    @property
    def file_name(self) -> str:
        return MODEL_FILES[self.engine]


def write_onnx(network: Network, module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    with quiet_exporter():
        program = torch.onnx.export(
            module,
            inputs,
            input_names=[tensor.name for tensor in network.step.inputs],
            output_names=[tensor.name for tensor in network.step.outputs],
            dynamic_shapes=tuple(network.variable_axes[tensor.name] for tensor in network.step.inputs),
            opset_version=ONNX_OPSET,
            dynamo=True,
            verbose=False,
        )
    onnx.save(program.model_proto, path)


def open_onnx(network: Network, path: Path) -> Runner:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    input_names = [tensor.name for tensor in network.step.inputs]
    output_names = [tensor.name for tensor in network.step.outputs]

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        arrays = {name: tensor.numpy() for name, tensor in zip(input_names, inputs, strict=True)}
        return tuple(torch.from_numpy(array) for array in session.run(output_names, arrays))

    return run


def add_onnx_record(path: Path, record: Mapping) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {RECORD: json.dumps(record)})
    onnx.save(model, path)


def read_onnx_record(path: Path) -> Mapping:
    try:
        properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    except DecodeError as error:
        raise ValueError(f"{path} is no ONNX file: {error}") from error
    return json.loads(properties.get(RECORD, "{}"))


def write_torchscript(network: Network, module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    with quiet_exporter():
        torch.jit.save(torch.jit.script(module), path)


def open_torchscript(network: Network, path: Path) -> Runner:
    with quiet_exporter():
        module = torch.jit.load(path)

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        outputs = module(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return run


def add_torchscript_record(path: Path, record: Mapping) -> None:
    with quiet_exporter():
        torch.jit.save(torch.jit.load(path), path, _extra_files={RECORD: json.dumps(record)})


def read_torchscript_record(path: Path) -> Mapping:
    files = {RECORD: ""}
    try:
        with quiet_exporter():
            torch.jit.load(path, _extra_files=files)
    except RuntimeError as error:
        raise ValueError(f"{path} is no TorchScript file: {error}") from error
    return json.loads(files[RECORD] or "{}")


@contextmanager
def quiet_exporter():
    """Keep PyTorch's notes to its own developers off the terminal."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registration.setLevel(level)


FORMATS = {
    "onnx": Format("onnxruntime", write_onnx, open_onnx, add_onnx_record, read_onnx_record),
    "torchscript": Format(
        "pytorch", write_torchscript, open_torchscript, add_torchscript_record, read_torchscript_record
    ),
}
