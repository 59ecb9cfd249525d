"""Compares the inputs and outputs of the exported networks with the configurations that serve them.

An ONNX file is read itself; a TorchScript file and a plan hold a record of what their parity runs showed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from convai.description.pipeline import NETWORK_NAMES, Step, Tensor
from convai.description.wire_names import wire_name
from convai.errors import InvalidArgument, reading
from convai.generator.check import check_repository, step_of
from convai.generator.profiles import Profile

RECORD = "convai.json"  # in a file: where it comes from
INTERFACE = "interface"  # the entry of a record with the inputs and outputs
ONNX_DTYPES = {"FLOAT": "FP32", "FLOAT16": "FP16", "DOUBLE": "FP64", "STRING": "BYTES"}  # the others are the same


def compare_files(model_repository: Path, profile: Profile) -> dict[str, list[str]]:
    """Compare the exported networks with the configurations of a profile.

    Returns the differences by network, one sentence each; a network that is not exported is left out.
    """
    differences = {}
    for name, config in check_repository(model_repository, profile).items():
        path = model_repository / name / "1" / config.default_model_filename
        if name in NETWORK_NAMES and path.is_file():
            exported = read_interface(path)
            outputs = (replace(one, name=wire_name(one, i, config.backend)) for i, one in enumerate(exported.outputs))
            exported = replace(exported, outputs=tuple(outputs))
            differences[name] = [f"{path}: {one}" for one in compare(step_of(config), exported)]
    return differences


def compare(expected: Step, exported: Step) -> list[str]:
    """Return one sentence for each input and output of an exported network that differs from its configuration."""
    return [
        *_compare_tensors("input", expected.inputs, exported.inputs),
        *_compare_tensors("output", expected.outputs, exported.outputs),
    ]


def _compare_tensors(kind: str, expected: Sequence[Tensor], exported: Sequence[Tensor]) -> Iterator[str]:
    names, got_names = ([one.name for one in tensors] for tensors in (expected, exported))
    if names != got_names:
        yield f"{kind}s: expected {', '.join(names)}, got {', '.join(got_names)}"
        return
    for one, got in zip(expected, exported, strict=True):
        # Triton accepts a size where the file has a variable axis, not the reverse.
        dims_agree = len(one.dims) == len(got.dims) and all(
            size in (wanted, -1) for wanted, size in zip(one.dims, got.dims, strict=True)
        )
        if one.dtype != got.dtype or not dims_agree:
            yield f"{kind} {one.name}: expected {one.dtype} {list(one.dims)}, got {got.dtype} {list(got.dims)}"


def read_interface(path: Path) -> Step:
    """Read the inputs and outputs of an exported network."""
    if path.suffix == ".onnx":
        return _read_onnx(path)
    interface = _read_record(path).get(INTERFACE)
    if interface is None:
        raise InvalidArgument(f"{path} has no record of its inputs and outputs; `convai export` writes one")
    inputs, outputs = (
        tuple(Tensor(one["name"], one["dtype"], tuple(one["dims"])) for one in interface[kind])
        for kind in ("inputs", "outputs")
    )
    return Step(path.stem, inputs, outputs)


def _read_onnx(path: Path) -> Step:
    import onnx

    with reading(path, "ONNX file"):
        graph = onnx.load(path, load_external_data=False).graph
    names = onnx.TensorProto.DataType.Name
    inputs, outputs = (
        tuple(_onnx_tensor(path, one, names(one.type.tensor_type.elem_type)) for one in values)
        for values in (graph.input, graph.output)
    )
    return Step(path.stem, inputs, outputs)


def _onnx_tensor(path: Path, value: Any, dtype: str) -> Tensor:
    batch, *dims = (one.dim_value if one.HasField("dim_value") else -1 for one in value.type.tensor_type.shape.dim)
    if batch != -1:
        raise InvalidArgument(f"{path}: tensor {value.name}: expected a variable batch axis, got {batch}")
    return Tensor(value.name, ONNX_DTYPES.get(dtype, dtype), tuple(dims))


def _read_record(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".plan":
        record = path.with_name(f"{path.name}.json")
        return json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    with reading(path, "TorchScript file"), ZipFile(path) as archive:
        record = next((name for name in archive.namelist() if name.endswith(f"/extra/{RECORD}")), None)
        return json.loads(archive.read(record)) if record else {}


def describe_interface(exported: Step) -> dict[str, list[dict[str, Any]]]:
    """Return what a file records of its inputs and outputs."""
    return {
        kind: [{"name": one.name, "dtype": one.dtype, "dims": list(one.dims)} for one in tensors]
        for kind, tensors in (("inputs", exported.inputs), ("outputs", exported.outputs))
    }


def refuse_unserved(exported: Step, step: Step, profiles: Sequence[Profile]) -> None:
    """Raise InvalidArgument with all differences if an exported network suits no profile."""
    found: dict[str, None] = {}  # in order, each once
    for profile in profiles:
        inputs, outputs = (
            tuple(replace(one, dims=tuple(profile.fill_sizes(one.dims))) for one in tensors)
            for tensors in (step.inputs, step.outputs)
        )
        differences = compare(replace(step, inputs=inputs, outputs=outputs), exported)
        if not differences:
            return
        found |= dict.fromkeys(differences)
    raise InvalidArgument(f"{step.name}: no profile serves this network: {'; '.join(found)}")
