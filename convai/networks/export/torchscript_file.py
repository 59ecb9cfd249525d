"""Writes a network as a TorchScript file by scripting it, runs it, and keeps its record as an extra file inside."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.networks.export.quiet import quiet_exporter
from convai.networks.registry import Network, Runner

RECORD = "convai.json"


def write(network: Network, module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    with quiet_exporter():
        torch.jit.save(torch.jit.script(module), path)


def open_runner(network: Network, path: Path) -> Runner:
    with quiet_exporter():
        module = torch.jit.load(path)

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        outputs = module(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return run


def add_record(path: Path, record: Mapping) -> None:
    with quiet_exporter():
        torch.jit.save(torch.jit.load(path), path, _extra_files={RECORD: json.dumps(record)})


def read_record(path: Path) -> Mapping:
    files = {RECORD: ""}
    try:
        with quiet_exporter():
            torch.jit.load(path, _extra_files=files)
    except RuntimeError as error:
        raise InvalidArgument(f"{path} is no TorchScript file: {error}") from error
    return json.loads(files[RECORD] or "{}")
