"""The kinds of files a network can be exported to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from convai.generator.settings import MODEL_FILES
from convai.networks.export import onnx_file, plan_file, torchscript_file
from convai.networks.registry import Network, Runner


@dataclass(frozen=True)
class Format:
    """One kind of file: the engine it is for, and how it is written, opened to run, and read.

    A file carries a record of where it comes from. read_record raises ValueError if the file is damaged, and gives an
    empty record if there is none.
    """

    engine: str
    write: Callable[[Network, nn.Module, tuple[Tensor, ...], Path], None]
    open: Callable[[Network, Path], Runner]
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
