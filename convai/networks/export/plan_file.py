"""Writes a network as a TensorRT plan for the GPU of this machine, and runs it; its record is a file beside it.

A plan is built from the ONNX export and takes exactly the shapes that the buckets and batches of a profile need.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.generator.profiles import PROFILES, Profile
from convai.networks.export import onnx_file
from convai.networks.registry import Network, Runner

TORCH_DTYPES = {"FP32": torch.float32, "INT32": torch.int32}  # of the networks' outputs

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # smallest, usual, largest, with the batch axis


def write(network: Network, module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Build a plan. A network given in FP16 keeps FP16 in every layer that has it."""
    tensorrt = import_tensorrt()
    ranges = fitting_ranges(network, inputs)
    source = path.with_suffix(".onnx")
    onnx_file.write(network, module, inputs, source)
    path.write_bytes(built_plan(tensorrt, source, ranges))
    source.unlink()


def import_tensorrt():
    try:
        import tensorrt
    except ModuleNotFoundError as error:
        raise InvalidArgument(
            "a TensorRT plan needs the package tensorrt and a GPU; docs/nvidia.md tells how the container does it"
        ) from error
    return tensorrt


def fitting_ranges(network: Network, inputs: tuple[Tensor, ...]) -> dict[str, Shapes]:
    """The shapes of the first profile with plans that is for a network of this size.

    Such profiles differ in the weights they are for and not in their buckets, so whichever fits will do.
    """
    misfits = []
    for profile in PROFILES.values():
        if profile.settings[network.name].engine == "tensorrt":
            try:
                return shape_ranges(network, inputs, profile)
            except ValueError as error:
                misfits.append(str(error))
    raise ValueError("; ".join(misfits))


def shape_ranges(network: Network, inputs: tuple[Tensor, ...], profile: Profile) -> dict[str, Shapes]:
    """The shapes each input may take. Raises InvalidArgument if the profile is for a network of another size."""
    ranges = {}
    for tensor, example in zip(network.step.inputs, inputs, strict=True):
        wanted = profile.settings[network.name].shapes[tensor.name]
        batches = (1, 1, profile.max_batch_size)
        shapes = tuple(
            (batch, *dims) for batch, dims in zip(batches, (wanted.smallest, wanted.usual, wanted.largest), strict=True)
        )
        for axis in set(range(example.dim())) - set(network.variable_axes[tensor.name]):
            if any(shape[axis] != example.shape[axis] for shape in shapes):
                raise InvalidArgument(
                    f"{network.name}: axis {axis} of {tensor.name} is {example.shape[axis]} in this network, "
                    f"but {shapes[0][axis]} in profile {profile.name}"
                )
        ranges[tensor.name] = shapes
    return ranges


def built_plan(tensorrt, source: Path, ranges: Mapping[str, Shapes]) -> bytes:
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    # Strongly typed: every layer runs in the precision that the ONNX file gives it.
    definition = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(definition, logger)
    if not parser.parse_from_file(str(source)):
        reasons = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors))
        raise InvalidArgument(f"TensorRT cannot read the ONNX export: {reasons}")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # ten bits of mantissa would not be FP32
    profile = builder.create_optimization_profile()
    for name, shapes in ranges.items():
        profile.set_shape(name, *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise InvalidArgument("TensorRT could not build a plan; its messages above say why")
    return bytes(plan)


def open_runner(network: Network, path: Path) -> Runner:
    tensorrt = import_tensorrt()
    engine = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING)).deserialize_cuda_engine(path.read_bytes())
    context = engine.create_execution_context()

    def run(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = [tensor.contiguous().cuda() for tensor in inputs]
        for tensor, value in zip(network.step.inputs, given, strict=True):
            context.set_input_shape(tensor.name, tuple(value.shape))
            context.set_tensor_address(tensor.name, value.data_ptr())
        outputs = []
        for tensor in network.step.outputs:
            shape = tuple(context.get_tensor_shape(tensor.name))
            outputs.append(torch.empty(shape, dtype=TORCH_DTYPES[tensor.dtype], device="cuda"))
            context.set_tensor_address(tensor.name, outputs[-1].data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise InvalidArgument(f"TensorRT could not run the plan of {network.name}; its messages above say why")
        torch.cuda.synchronize()
        return tuple(output.cpu() for output in outputs)

    return run


def add_record(path: Path, record: Mapping) -> None:
    record_path(path).write_text(json.dumps(record, indent=2) + "\n")


def read_record(path: Path) -> Mapping:
    """Read the file beside the plan; a plan's own bytes have no place for it."""
    if not path.is_file() or not record_path(path).is_file():
        return {}
    return json.loads(record_path(path).read_text())


def record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
