"""Finds a network's inputs and outputs by running it: names, dtypes, and which axes vary."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convai.description.pipeline import Step
from convai.errors import InvalidArgument
from convai.networks.deploy.examples import Case
from convai.networks.deploy.user_code import explain_errors
from convai.networks.export.observe import describe
from convai.networks.export.parity import largest_difference
from convai.networks.network import Interface


@dataclass(frozen=True)
class CaseOutputs:
    """The outputs of the network itself for a case."""

    case: Case
    outputs: tuple[Tensor, ...]
    output_names: tuple[str, ...] | None = None  # of a NamedTuple


def run_case(module: nn.Module, case: Case) -> CaseOutputs:
    with torch.inference_mode(), explain_errors(f"forward failed on {case.description}"):
        outputs = module(*case.inputs)
    names = getattr(outputs, "_fields", None)
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    if not isinstance(outputs, tuple) or not outputs or not all(isinstance(output, Tensor) for output in outputs):
        kinds = f"({', '.join(type(item).__name__ for item in outputs)})" if isinstance(outputs, tuple) else ""
        raise InvalidArgument(
            f"forward: expected a tensor or a tuple of tensors, got a {type(outputs).__name__}{kinds}"
        )
    for index, output in enumerate(outputs):
        if not output.ndim or len(output) != len(case.rows):
            raise InvalidArgument(
                f"output {index}: expected the batch axis first, got shape {list(output.shape)} for {case.description}"
            )
    return CaseOutputs(case, outputs, names)


def find_interface(
    name: str, results: Sequence[CaseOutputs], output_names: Sequence[str] | None, max_batch_size: int
) -> Interface:
    """Describe the network's tensors; an axis is variable if its size differs between the cases."""
    inputs = describe(list(results[0].case.example.inputs), [result.case.inputs for result in results])
    outputs = describe(choose_names(output_names, results[0]), [result.outputs for result in results])
    names = [tensor.name for tensor in inputs + outputs]
    if len(set(names)) < len(names):
        raise InvalidArgument(
            f"--outputs: expected names that differ from each other and the inputs, got {', '.join(names)}"
        )
    batch = {0: "batch"} if max_batch_size > 1 else {}
    variable_axes = {
        tensor.name: batch | {axis: f"{tensor.name}_{axis}" for axis, size in enumerate(tensor.dims, 1) if size == -1}
        for tensor in inputs
    }
    return Interface(Step(name, inputs, outputs, is_network=True), variable_axes)


def choose_names(names: Sequence[str] | None, result: CaseOutputs) -> Sequence[str]:
    count = len(result.outputs)
    if names and len(names) != count:
        raise InvalidArgument(f"--outputs: expected {count} names, got {len(names)} ({', '.join(names)})")
    numbered = ["output"] if count == 1 else [f"output{index}" for index in range(count)]
    return names or result.output_names or numbered


def find_row_influence(results: Sequence[CaseOutputs], tolerance: float) -> str | None:
    """Say where the outputs of a row differ between alone and in a batch; None if they never do."""
    alone = {(id(r.case.example), r.case.rows[0]): r.outputs for r in results if len(r.case.rows) == 1}
    for batch in results:
        for index, row in enumerate(batch.case.rows):
            outputs = [output[index : index + 1] for output in batch.outputs]
            difference = largest_difference(alone[id(batch.case.example), row], outputs)
            if difference > tolerance:
                return f"in the batch of {batch.case.description}, the outputs of row {row} change by {difference:.1e}"
    return None
