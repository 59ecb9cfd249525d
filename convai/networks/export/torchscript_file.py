"""Writes a network as a TorchScript file by scripting it, runs it, and keeps its record as an extra file inside."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from convai.errors import reading
from convai.networks.export.quiet import quiet_exporter
from convai.networks.network import Interface, Runner, Tensors

RECORD = "convai.json"


def write(_interface: Interface, module: nn.Module, _inputs: Tensors, path: Path) -> None:
    with quiet_exporter():
        torch.jit.save(torch.jit.script(module), path)


def open_runner(_interface: Interface, path: Path) -> Runner:
    with quiet_exporter():
        module = torch.jit.load(path)

    def run(inputs: Tensors) -> Tensors:
        outputs = module(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return run


def add_record(path: Path, record: Mapping) -> None:
    with quiet_exporter():
        torch.jit.save(torch.jit.load(path), path, _extra_files={RECORD: json.dumps(record)})


def read_record(path: Path) -> Mapping:
    files = {RECORD: ""}
    with reading(path, "TorchScript file"), quiet_exporter():
        torch.jit.load(path, _extra_files=files)
    return json.loads(files[RECORD] or "{}")
