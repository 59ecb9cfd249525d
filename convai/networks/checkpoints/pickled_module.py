"""Reads the tensors out of a pickled nn.Module, as NVIDIA/waveglow publishes them, without running any of its code.

Nothing that a pickle names is imported. Module classes become empty shells, tensors are rebuilt by PyTorch, and any
other name, which is how a pickle runs code, is refused.
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
    """Knows tensors, the containers of modules, and shells."""

    def find_class(self, module: str, name: str):
        if (module, name) in REBUILDERS:
            return rebuilder(REBUILDERS[module, name])
        if module.startswith(tuple(f"{package}." for package in SHELL_PACKAGES)) or module in SHELL_PACKAGES:
            # A new class for each name, so that a pickle which alters one alters nothing that outlives it.
            return type(name, (Shell,), {"__module__": f"pickled:{module}"})
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is neither a tensor nor a module")

    def load(self):
        storage_of = getattr(self, "persistent_load", None)  # set by torch.load where a stream may refer to storages
        if storage_of:
            self.persistent_load = lambda key: module_class(key) if key[0] == "module" else storage_of(key)
        return super().load()


class TensorPickle:
    """What torch.load asks of a pickle module."""

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


def rebuilder(function):
    """The function behind one that a pickle may alter without altering the original."""
    return lambda *arguments: function(*arguments)


def module_class(key: tuple) -> type:
    """Files before 2020 store a module's class with its source text, which is not looked at."""
    if not (isinstance(key[1], type) and issubclass(key[1], Shell)):
        raise pickle.UnpicklingError(f"it stores {key[1]!r} as a module's class")
    return key[1]


def read_pickled_module(path: Path) -> Mapping[str, Any]:
    """Read a file written by torch.save(module) or torch.save({"model": module, ...}).

    Returns the file's dictionary ({"model": ...} if the file is the bare module) with each module replaced by its state
    dict. Raises InvalidArgument if the file holds anything that could run code, or no module.
    """
    if is_tarfile(path) or is_torchscript(path):
        raise InvalidArgument(f"{path} is a tar or TorchScript archive; allowed is a file written by torch.save")
    try:
        content = torch.load(path, map_location="cpu", pickle_module=TensorPickle, weights_only=False)
    except Exception as error:  # bytes that are no pickle raise whatever they are taken for
        raise InvalidArgument(f"{path} was refused: {error}") from error
    if isinstance(content, Shell):
        content = {"model": content}
    if not isinstance(content, Mapping) or not any(isinstance(value, Shell) for value in content.values()):
        raise InvalidArgument(f"{path} holds no pickled module")
    return {name: state_dict(value) if isinstance(value, Shell) else value for name, value in content.items()}


def is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def state_dict(module: Shell, prefix: str = "") -> dict[str, Tensor]:
    """The parameters and buffers of a module and, under their names, of all inside it."""
    own = {**vars(module).get("_parameters", {}), **vars(module).get("_buffers", {})}
    tensors = {prefix + name: value for name, value in own.items() if isinstance(value, Tensor)}
    for name, inner in vars(module).get("_modules", {}).items():
        tensors |= state_dict(inner, f"{prefix}{name}.")
    return tensors
