"""Exports a network of the user, checks the export, and installs it as a Triton model folder."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import StringIO
from math import inf
from pathlib import Path

import torch
from torch import nn
from torch.jit import TracerWarning  # pyright: ignore[reportPrivateImportUsage]  public by its documentation

from convai.errors import InvalidArgument
from convai.networks.deploy.examples import read_examples
from convai.networks.deploy.interface import CaseOutputs, find_interface, find_row_influence, run_case
from convai.networks.deploy.model_folder import check_place, install, write_configs
from convai.networks.deploy.user_code import build_module, explain_errors, summarise
from convai.networks.export.formats import FORMATS, Format
from convai.networks.export.parity import ParityError, largest_difference
from convai.networks.network import Interface, Runner, Tensors
from convai.package_data import DISTRIBUTION


def write_trace(_interface: Interface, module: nn.Module, inputs: Tensors, path: Path) -> None:
    # PyTorch's own check of a trace is off: the comparison below covers more than these inputs.
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(module, inputs, check_trace=False), path)


TARGETS = {
    "torchscript-trace": replace(FORMATS["torchscript"], write=write_trace),
    "torchscript-script": FORMATS["torchscript"],
    "onnx": FORMATS["onnx"],
}
RECORDED_PACKAGES = (DISTRIBUTION, "torch", "onnx")
LARGEST_BATCH = 65_536  # each example is repeated up to it


@dataclass(frozen=True)
class Deployment:
    """What to deploy, in which format and where. `tolerance` bounds the absolute difference of every output."""

    module: str
    inputs: Sequence[Path]
    target: str
    name: str
    model_repository: Path = Path("model_repository")
    outputs: Sequence[str] | None = None
    max_batch_size: int = 8
    tolerance: float = 1e-4
    allow_fixed_branches: bool = False
    replace: bool = False

    def __post_init__(self):
        if not 1 <= self.max_batch_size <= LARGEST_BATCH:
            raise InvalidArgument(f"--max-batch-size: expected 1 to {LARGEST_BATCH}, got {self.max_batch_size}")
        if not 0 < self.tolerance < inf:
            raise InvalidArgument(f"--tolerance: expected a positive number, got {self.tolerance}")
        check_place(self.model_repository, self.name, self.replace)

    @property
    def format(self) -> Format:
        return TARGETS[self.target]


@dataclass(frozen=True)
class Deployed:
    """An installed model folder, and the results of its checks.

    `row_influence` says how rows of a batch influence each other, if they do; the server then does not batch requests.
    """

    folder: Path
    interface: Interface
    outputs: Sequence[CaseOutputs]
    largest_difference: float
    row_influence: str | None


def deploy(job: Deployment) -> Deployed:
    """Export, check and install. Raises InvalidArgument or ParityError, and installs nothing on failure."""
    module = build_module(job.module)
    examples = read_examples(job.inputs, module)
    outputs = [run_case(module, case) for example in examples for case in example.cases(job.max_batch_size)]
    interface = find_interface(job.name, outputs, job.outputs, job.max_batch_size)
    row_influence = find_row_influence(outputs, job.tolerance)
    # torch.export fixes axes of size 1, hence the largest example, and at least two rows of it.
    largest = max(examples, key=lambda example: example.element_count)
    exported_on = largest.batch(min(max(2, largest.row_count), job.max_batch_size))
    # In the same folder, because a rename is atomic within one file system only.
    with tempfile.TemporaryDirectory(prefix=".deploy-", dir=job.model_repository) as scratch:
        draft = Path(scratch) / job.name
        write_configs(draft, interface.step, job.format.engine, job.max_batch_size, batches_requests=not row_influence)
        file = draft / "1" / job.format.file_name
        what = f"{job.module} cannot be exported as {job.target}"
        with record_fixed_branches() as branches, silence(), explain_errors(what):
            job.format.write(interface, module, exported_on.inputs, file)
            run = job.format.open(interface, file)
        difference = compare(job, outputs, run, branches)
        job.format.add_record(file, make_record(job, difference))
        return Deployed(install(draft, job.model_repository), interface, outputs, difference, row_influence)


def compare(job: Deployment, outputs: Sequence[CaseOutputs], run: Runner, branches: Sequence[str]) -> float:
    """Return the largest difference between the outputs of the network and of the export.

    Raises ParityError if it exceeds the tolerance, or if the trace fixed a branch and the user did not allow that:
    other inputs may take another branch.
    """
    fixed = f"the trace fixed a branch that depends on the inputs at {'; '.join(branches)}"
    advice = f" ({fixed}; use --to torchscript-script)" if branches else ""
    worst = 0.0
    for original in outputs:
        difference = measure_difference(original, run, advice)
        if difference > job.tolerance:
            raise ParityError(
                f"the {job.target} export differs from the network by {difference:.1e} on "
                f"{original.case.description}, more than --tolerance {job.tolerance:.0e}{advice}; not installed"
            )
        worst = max(worst, difference)
    if branches and not job.allow_fixed_branches:
        raise ParityError(
            f"{fixed}; other inputs may take another one: use --to torchscript-script, or --allow-fixed-branches "
            "if all inputs take the same; not installed"
        )
    return worst


def measure_difference(original: CaseOutputs, run: Runner, advice: str) -> float:
    try:
        with torch.inference_mode():
            return largest_difference(original.outputs, run(original.case.inputs))
    except Exception as error:
        what = f"the export fails on {original.case.description}, on which the network succeeds"
        raise ParityError(f"{what}: {summarise(error)}{advice}; not installed") from error


def make_record(job: Deployment, difference: float) -> dict:
    """Return what the exported file records about itself."""
    return {
        "module": job.module,
        "format": job.target,
        "parity": {"largest_difference": difference, "tolerance": job.tolerance},
        "versions": {package: version(package) for package in RECORDED_PACKAGES},
    }


@contextmanager
def record_fixed_branches() -> Iterator[list[str]]:
    """Collect lines of code, like "sort.py, line 12", where tracing moved a value from a tensor to Python."""
    places = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield places
    for warning in caught:
        place = f"{Path(warning.filename).name}, line {warning.lineno}"
        if issubclass(warning.category, TracerWarning) and place not in places:
            places.append(place)


@contextmanager
def silence():
    """Keep PyTorch's log of a failing export off the terminal; the error says enough."""
    logging.disable(logging.ERROR)
    try:
        with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
