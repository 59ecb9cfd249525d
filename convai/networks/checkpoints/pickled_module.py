"""Reads the tensors of a pickled nn.Module, as NVIDIA/waveglow publishes them, without running any of its code.

Nothing that the pickle names is imported. Module classes become empty shells, PyTorch rebuilds tensors, and any other
name is refused, since that is how a pickle runs code. `torch.load(weights_only=True)` cannot read these files: it needs
the module's own class.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from tarfile import is_tarfile
from typing import Any

import torch
from torch import Tensor

from convai.errors import InvalidArgument

SHELL_PACKAGES = ("torch.nn", "glow", "glow_old", "waveglow")


class Shell:
    """Stands for an object of any class: it keeps the attributes and has no behaviour."""

    def __new__(cls, *_arguments, **_keywords):
        return super().__new__(cls)

    def __init__(self, *_arguments, **_keywords):
        pass


class TensorUnpickler(pickle.Unpickler):
    """Resolves names to tensors, the containers of modules, and shells."""

    def find_class(self, module: str, name: str):
        if (module, name) in REBUILDERS:
            return wrap(REBUILDERS[module, name])
        if any(module == package or module.startswith(f"{package}.") for package in SHELL_PACKAGES):
            # A new class for each name: a pickle that alters it alters nothing that outlives the file.
            return type(name, (Shell,), {"__module__": f"pickled:{module}"})
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is neither a tensor nor a module")

    def load(self):
        load_storage = getattr(self, "persistent_load", None)  # torch.load sets it where a stream may refer to storages
        if load_storage:
            self.persistent_load = lambda key: check_class(key) if key[0] == "module" else load_storage(key)
        return super().load()


class TensorPickle:
    """The interface that torch.load expects of a pickle module."""

    Unpickler = TensorUnpickler

    @staticmethod
    def load(file, **options):
        return TensorUnpickler(file, **options).load()


REBUILDERS = {
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}


def wrap(function):
    """Return a function that a pickle may alter without altering the original."""
    return lambda *arguments: function(*arguments)


def check_class(key: tuple) -> type:
    """Return a module's class as files before 2020 store it, with its source text, which is not read."""
    if not (isinstance(key[1], type) and issubclass(key[1], Shell)):
        raise pickle.UnpicklingError(f"it stores {key[1]!r} as a module's class")
    return key[1]


def read_pickled_module(path: Path) -> Mapping[str, Any]:
    """Read a file written by torch.save(module) or torch.save({"model": module, ...}).

    Returns the file's dictionary ({"model": ...} for a bare module) with each module replaced by its state dict. Raises
    InvalidArgument if the file holds anything that could run code, or no module.
    """
    if is_tarfile(path) or is_torchscript(path):
        raise InvalidArgument(f"{path}: expected a file written by torch.save, got a tar or TorchScript archive")
    try:
        content = torch.load(path, map_location="cpu", pickle_module=TensorPickle, weights_only=False)
    except Exception as error:  # damaged bytes raise errors of any class
        raise InvalidArgument(f"{path} was refused: {error}") from error
    if isinstance(content, Shell):
        content = {"model": content}
    if not isinstance(content, Mapping) or not any(isinstance(value, Shell) for value in content.values()):
        raise InvalidArgument(f"{path}: expected tensors or a pickled module, got neither")
    return {name: collect_tensors(value) if isinstance(value, Shell) else value for name, value in content.items()}


def is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def collect_tensors(module: Shell, prefix: str = "") -> dict[str, Tensor]:
    """Return the parameters and buffers of a module and, under their names, of all inside it."""
    own = {**vars(module).get("_parameters", {}), **vars(module).get("_buffers", {})}
    tensors = {prefix + name: value for name, value in own.items() if isinstance(value, Tensor)}
    for name, inner in vars(module).get("_modules", {}).items():
        tensors |= collect_tensors(inner, f"{prefix}{name}.")
    return tensors
