"""Exports a network of the user's own, checks the export, and installs it as a Triton model folder."""

import logging
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import cast

import torch

from convai.errors import InvalidArgument
from convai.networks.deploy.examples import read_examples
from convai.networks.deploy.interface import CaseAnswer, Interface, answer, find_interface, find_neighbours
from convai.networks.deploy.model_folder import check_place, install, write_configs
from convai.networks.deploy.tracing import noted_decisions, write_trace
from convai.networks.deploy.user_code import build_module, summary, user_code
from convai.networks.export.formats import FORMATS, Format, Runner
from convai.networks.export.parity import ParityError, largest_difference
from convai.networks.registry import Network

TARGETS = {
    "torchscript-trace": replace(FORMATS["torchscript"], write=write_trace),
    "torchscript-script": FORMATS["torchscript"],
    "onnx": FORMATS["onnx"],
}
RECORDED_PACKAGES = ("convai", "torch", "onnx")


@dataclass(frozen=True)
class Deployment:
    """What to deploy, as what and where. `tolerance` is the largest absolute difference allowed in any output."""

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
        if self.max_batch_size < 1:
            raise InvalidArgument(f"--max-batch-size must be at least 1, got {self.max_batch_size}")
        if not self.tolerance > 0:
            raise InvalidArgument(f"--tolerance must be positive, got {self.tolerance}")
        check_place(self.model_repository, self.name, self.replace)

    @property
    def format(self) -> Format:
        return TARGETS[self.target]


@dataclass(frozen=True)
class Deployed:
    """A model folder that is ready to be served, and what was found when it was made.

    `neighbours` says how rows influence each other, if they do; the server then joins no requests into batches.
    """

    folder: Path
    interface: Interface
    answers: Sequence[CaseAnswer]
    largest_difference: float
    neighbours: str | None


def deploy(job: Deployment) -> Deployed:
    """Export, check and install; if anything is wrong, raises InvalidArgument (as ParityError) and installs nothing."""
    module = build_module(job.module)
    examples = read_examples(job.inputs, module)
    answers = [answer(module, case) for example in examples for case in example.cases(job.max_batch_size)]
    interface = find_interface(job.name, answers, job.outputs, job.max_batch_size)
    neighbours = find_neighbours(answers, job.tolerance)
    # Axes of size 1 are taken for fixed by torch.export, hence the largest example, and two rows of it at least.
    largest = max(examples, key=lambda example: example.element_count)
    exported_on = largest.batch(min(max(2, largest.row_count), job.max_batch_size))
    # In the same folder, for only within one file system is a rename atomic.
    with tempfile.TemporaryDirectory(prefix=".deploy-", dir=job.model_repository) as scratch:
        draft = Path(scratch) / job.name
        write_configs(draft, interface.step, job.format.engine, job.max_batch_size, joins_requests=not neighbours)
        file = draft / "1" / job.format.file_name
        with noted_decisions() as decisions, silence(), user_code(f"{job.module} cannot be exported as {job.target}"):
            network = cast(Network, interface)  # as much of one as a format asks for
            job.format.write(network, module, exported_on.inputs, file)
            run = job.format.open(network, file)
        difference = compare(job, answers, run, decisions)
        job.format.add_record(file, record(job, difference))
        return Deployed(install(draft, job.model_repository), interface, answers, difference, neighbours)


def compare(job: Deployment, answers: Sequence[CaseAnswer], run: Runner, decisions: Sequence[str]) -> float:
    """Largest difference between the network's answers and the export's; refuses one that exceeds the tolerance.

    A trace that fixed a decision is refused even without a difference, unless the user vouches for it: these inputs
    may just not have shown it.
    """
    fixed = f"the trace fixed what the network decides from its inputs at {'; '.join(decisions)}"
    advice = f" ({fixed}; use --to torchscript-script)" if decisions else ""
    worst = 0.0
    for original in answers:
        difference = difference_from(original, run, advice)
        if difference > job.tolerance:
            raise ParityError(
                f"the {job.target} export differs from the network by {difference:.1e} on "
                f"{original.case.description}, allowed is {job.tolerance:.0e} (--tolerance){advice}; not installed"
            )
        worst = max(worst, difference)
    if decisions and not job.allow_fixed_branches:
        raise ParityError(
            f"{fixed}; it agrees on these, but may not on others: use --to torchscript-script, or "
            "--allow-fixed-branches if all inputs decide alike; not installed"
        )
    return worst


def difference_from(original: CaseAnswer, run: Runner, advice: str) -> float:
    try:
        with torch.inference_mode():
            return largest_difference(original.outputs, run(original.case.inputs))
    except Exception as error:
        what = f"the export fails on {original.case.description}, which the network itself answers"
        raise ParityError(f"{what}: {summary(error)}{advice}; not installed") from error


def record(job: Deployment, difference: float) -> dict:
    """What the exported file says about itself."""
    return {
        "module": job.module,
        "format": job.target,
        "parity": {"largest_difference": difference, "tolerance": job.tolerance},
        "versions": {package: version(package) for package in RECORDED_PACKAGES},
    }


@contextmanager
def silence():
    """Keep what PyTorch logs and prints about an export that fails off the terminal; the error says enough."""
    logging.disable(logging.ERROR)
    try:
        with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
