"""The formats that a network can be exported to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import nn

from convai.generator.settings import MODEL_FILES
from convai.networks.export import onnx_file, plan_file, torchscript_file
from convai.networks.network import Interface, Runner, Tensors


@dataclass(frozen=True)
class Format:
    """One file format: its engine, and the functions that write a file, open it to run, and access its record.

    The record says where the file comes from. read_record raises InvalidArgument if the file is damaged, and returns an
    empty record if there is none.
    """

    engine: str
    write: Callable[[Interface, nn.Module, Tensors, Path], None]
    open: Callable[[Interface, Path], Runner]
    add_record: Callable[[Path, Mapping], None]
    read_record: Callable[[Path], Mapping]

    @property
    def file_name(self) -> str:
        return MODEL_FILES[self.engine]


def format_of(engine: str, module: ModuleType) -> Format:
    return Format(engine, module.write, module.open_runner, module.add_record, module.read_record)


FORMATS = {
    "onnx": format_of("onnxruntime", onnx_file),
    "torchscript": format_of("pytorch", torchscript_file),
    "tensorrt": format_of("tensorrt", plan_file),
}
