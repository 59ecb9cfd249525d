"""Writes a network as a TensorRT plan for the GPU of this machine, runs it, and keeps its record in a file beside it.

A plan is built from the ONNX export, for the shapes that the buckets and batches of a profile need.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from convai.errors import InvalidArgument
from convai.generator.profiles import PROFILES, Profile
from convai.generator.settings import Shape
from convai.networks.export import onnx_file
from convai.networks.network import Interface, Runner, Tensors

TORCH_DTYPES = {"FP32": torch.float32, "INT32": torch.int32}  # of the networks' outputs

Shapes = tuple[Shape, Shape, Shape]  # smallest, usual, largest


def write(interface: Interface, module: nn.Module, inputs: Tensors, path: Path) -> None:
    """Build a plan; a layer of a module in FP16 runs in FP16."""
    tensorrt = import_tensorrt()
    ranges = find_shape_ranges(interface, inputs)
    source = path.with_suffix(".onnx")
    onnx_file.write(interface, module, inputs, source)
    path.write_bytes(build_plan(tensorrt, source, ranges))
    source.unlink()


def import_tensorrt():
    try:
        import tensorrt
    except ModuleNotFoundError as error:
        raise InvalidArgument(
            "--format tensorrt: expected the package tensorrt and a GPU; docs/nvidia.md shows a container with them"
        ) from error
    return tensorrt


def find_shape_ranges(interface: Interface, inputs: Tensors) -> dict[str, Shapes]:
    """Return the shapes of the first profile with plans that fits a network of this size.

    All profiles that fit have the same buckets. Raises InvalidArgument if none does.
    """
    misfits = []
    for profile in PROFILES.values():
        if profile.settings[interface.step.name].engine == "tensorrt":
            try:
                return shape_ranges(interface, inputs, profile)
            except InvalidArgument as error:
                misfits.append(str(error))
    raise InvalidArgument("; ".join(misfits))


def shape_ranges(interface: Interface, inputs: Tensors, profile: Profile) -> dict[str, Shapes]:
    """Return the shapes that each input may take.

    Raises InvalidArgument if the profile is for a network of another size.
    """
    ranges, name = {}, interface.step.name
    settings = profile.settings[name]
    for tensor, example in zip(interface.step.inputs, inputs, strict=True):
        shapes = settings.shapes[tensor.name].batches(settings.max_batch_size)
        for axis in set(range(example.dim())) - set(interface.variable_axes[tensor.name]):
            if any(shape[axis] != example.shape[axis] for shape in shapes):
                raise InvalidArgument(
                    f"{name}: axis {axis} of {tensor.name} is {example.shape[axis]} in this network, "
                    f"but {shapes[0][axis]} in profile {profile.name}"
                )
        ranges[tensor.name] = shapes
    return ranges


def build_plan(tensorrt, source: Path, ranges: Mapping[str, Shapes]) -> bytes:
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    # Strongly typed: every layer runs in the precision that the ONNX file gives it.
    definition = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(definition, logger)
    if not parser.parse_from_file(str(source)):
        reasons = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors))
        raise InvalidArgument(f"TensorRT cannot read the ONNX export: {reasons}")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # TF32 has 10 bits of mantissa, FP32 has 23
    profile = builder.create_optimization_profile()
    for name, shapes in ranges.items():
        profile.set_shape(name, *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise InvalidArgument("TensorRT could not build a plan; its messages above say why")
    return bytes(plan)


def open_runner(interface: Interface, path: Path) -> Runner:
    tensorrt = import_tensorrt()
    engine = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING)).deserialize_cuda_engine(path.read_bytes())
    context = engine.create_execution_context()

    def run(inputs: Tensors) -> Tensors:
        on_gpu = [tensor.contiguous().cuda() for tensor in inputs]
        for tensor, value in zip(interface.step.inputs, on_gpu, strict=True):
            context.set_input_shape(tensor.name, tuple(value.shape))
            context.set_tensor_address(tensor.name, value.data_ptr())
        outputs = []
        for tensor in interface.step.outputs:
            shape = tuple(context.get_tensor_shape(tensor.name))
            outputs.append(torch.empty(shape, dtype=TORCH_DTYPES[tensor.dtype], device="cuda"))
            context.set_tensor_address(tensor.name, outputs[-1].data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise InvalidArgument(
                f"TensorRT could not run the plan of {interface.step.name}; its messages above say why"
            )
        torch.cuda.synchronize()
        return tuple(output.cpu() for output in outputs)

    return run


def add_record(path: Path, record: Mapping) -> None:
    record_path(path).write_text(json.dumps(record, indent=2) + "\n")


def read_record(path: Path) -> Mapping:
    """Read the file beside the plan, which cannot hold a record itself."""
    if not path.is_file() or not record_path(path).is_file():
        return {}
    return json.loads(record_path(path).read_text())


def record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
