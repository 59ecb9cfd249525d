"""Finds out what a network takes and gives by running it: names, dtypes, and which axes vary."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convai.description import description as pipeline
from convai.description.pipeline import Step
from convai.errors import InvalidArgument
from convai.networks.deploy.examples import Case
from convai.networks.deploy.user_code import user_code
from convai.networks.export.parity import largest_difference

DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
}


@dataclass(frozen=True)
class CaseAnswer:
    """What the network itself answers to a case."""

    case: Case
    outputs: tuple[Tensor, ...]
    output_names: tuple[str, ...] | None = None  # of a NamedTuple


@dataclass(frozen=True)
class Interface:
    """A user's network as the writers of formats.py want to know it; `variable_axes` are by input."""

    step: Step
    variable_axes: Mapping[str, Mapping[int, str]]

    def loop_parts(self, module: nn.Module) -> None:
        """None: how a user's network loops is not known."""


def answer(module: nn.Module, case: Case) -> CaseAnswer:
    with torch.inference_mode(), user_code(f"forward failed on {case.description}"):
        outputs = module(*case.inputs)
    names = getattr(outputs, "_fields", None)
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    if not isinstance(outputs, tuple) or not outputs or not all(isinstance(output, Tensor) for output in outputs):
        kinds = f"({', '.join(type(item).__name__ for item in outputs)})" if isinstance(outputs, tuple) else ""
        raise InvalidArgument(
            f"forward returned a {type(outputs).__name__}{kinds}; allowed are a tensor or a tuple of tensors"
        )
    for index, output in enumerate(outputs):
        if not output.ndim or len(output) != len(case.rows):
            raise InvalidArgument(
                f"output {index} has shape {list(output.shape)} for {case.description}; axis 0 must be the batch axis"
            )
    return CaseAnswer(case, outputs, names)


def find_interface(
    name: str, answers: Sequence[CaseAnswer], output_names: Sequence[str] | None, max_batch_size: int
) -> Interface:
    """Describe the network's tensors; an axis is variable if its size differs between the cases."""
    inputs = describe(list(answers[0].case.example.inputs), [answer.case.inputs for answer in answers])
    outputs = describe(chosen_names(output_names, answers[0]), [answer.outputs for answer in answers])
    names = [tensor.name for tensor in inputs + outputs]
    if len(set(names)) < len(names):
        raise InvalidArgument(
            f"inputs and outputs are {', '.join(names)}; all must differ: name outputs with --outputs"
        )
    batch = {0: "batch"} if max_batch_size > 1 else {}
    variable_axes = {
        tensor.name: batch | {axis: f"{tensor.name}_{axis}" for axis, size in enumerate(tensor.dims, 1) if size == -1}
        for tensor in inputs
    }
    return Interface(Step(name, inputs, outputs, is_network=True), variable_axes)


def chosen_names(names: Sequence[str] | None, answer: CaseAnswer) -> Sequence[str]:
    count = len(answer.outputs)
    if names and len(names) != count:
        raise InvalidArgument(f"--outputs names {len(names)} ({', '.join(names)}), but forward returns {count}")
    numbered = ["output"] if count == 1 else [f"output{index}" for index in range(count)]
    return names or answer.output_names or numbered


def describe(names: Sequence[str], samples: Iterable[Sequence[Tensor]]) -> tuple[pipeline.Tensor, ...]:
    return tuple(tensor_like(name, tensors) for name, tensors in zip(names, zip(*samples, strict=True), strict=True))


def tensor_like(name: str, tensors: Sequence[Tensor]) -> pipeline.Tensor:
    """The description that fits all of these tensors, whose axis 0 is the batch axis."""
    kinds = {(tensor.dtype, tensor.ndim) for tensor in tensors}
    if len(kinds) > 1:
        got = " and ".join(sorted(f"{dtype} of rank {rank}" for dtype, rank in kinds))
        raise InvalidArgument(f"tensor {name} is {got}; dtype and rank must always be the same")
    dtype, rank = kinds.pop()
    if dtype not in DTYPES:
        raise InvalidArgument(f"tensor {name} is {dtype}; Triton and NumPy share {', '.join(map(str, DTYPES))}")
    if rank < 2:
        raise InvalidArgument(
            f"tensor {name} has only a batch axis; Triton wants one more: [rows, 1] in place of [rows]"
        )
    sizes = [{tensor.shape[axis] for tensor in tensors} for axis in range(1, rank)]
    return pipeline.Tensor(name, DTYPES[dtype], tuple(size.pop() if len(size) == 1 else -1 for size in sizes))


def find_neighbours(answers: Sequence[CaseAnswer], tolerance: float) -> str | None:
    """Say where a row is answered differently alone and in company; None if rows do not influence each other."""
    alone = {(id(a.case.example), a.case.rows[0]): a.outputs for a in answers if len(a.case.rows) == 1}
    for together in answers:
        for index, row in enumerate(together.case.rows):
            outputs = [output[index : index + 1] for output in together.outputs]
            difference = largest_difference(alone[id(together.case.example), row], outputs)
            if difference > tolerance:
                return f"{together.case.description} change the answer to row {row} by {difference:.1e}"
    return None
