"""Exports networks into the model repository, each checked against its network before it is installed."""

import hashlib
import inspect
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from convai.description.pipeline import Step, Tensor
from convai.errors import InvalidArgument
from convai.generator.exported_files import INTERFACE, describe_interface, refuse_unserved
from convai.generator.profiles import PROFILES
from convai.networks.checkpoints.weights import Weights, build
from convai.networks.export.formats import FORMATS, Format
from convai.networks.export.observe import describe
from convai.networks.export.parity import CaseParity, ParityError, compare
from convai.networks.network import Network, Tensors, Tolerance
from convai.package_data import DISTRIBUTION

RECORDED_PACKAGES = (DISTRIBUTION, "torch", "onnx")


@dataclass(frozen=True)
class Job:
    """A network with its weights, and the format and precision to export. `seed` draws weights if there are none."""

    network: Network
    weights: Weights
    format_name: str
    precision: str = "fp32"
    seed: int = 0

    def __post_init__(self):
        name, formats = self.network.name, self.network.formats
        if self.format_name not in formats:
            raise InvalidArgument(f"--format: expected {' or '.join(formats)} for {name}, got {self.format_name}")
        if self.precision not in self.network.tolerances:
            precisions = " or ".join(self.network.tolerances)
            raise InvalidArgument(f"--precision: expected {precisions} for {name}, got {self.precision}")

    @property
    def format(self) -> Format:
        return FORMATS[self.format_name]

    @property
    def tolerance(self) -> Tolerance:
        return self.network.tolerances[self.precision]

    def destination(self, model_repository: Path) -> Path:
        return model_repository / self.network.name / "1" / self.format.file_name

    def record(self) -> dict:
        """Return what the exported file records about itself, apart from its parity."""
        return {
            "network": self.network.name,
            "config_name": self.weights.config_name,
            "config": asdict(self.weights.config),
            "format": self.format_name,
            "precision": self.precision,
            "weights": {"origin": self.weights.origin, "sha256": self.weights.sha256},
            "code_sha256": hash_sources(self.network),
            "versions": {package: version(package) for package in RECORDED_PACKAGES},
        }


@dataclass(frozen=True)
class Export:
    """An installed file, and its differences from the network."""

    job: Job
    path: Path
    parity: tuple[CaseParity, ...]

    @property
    def worst(self) -> CaseParity:
        return max(self.parity, key=lambda case: case.largest_difference)

    def record(self) -> dict:
        parity = {
            "largest_difference": self.worst.largest_difference,
            "tolerance": self.job.tolerance.largest_difference,
            "cases": [asdict(case) for case in self.parity],
        }
        return self.job.record() | {"parity": parity}


def hash_sources(network: Network) -> str:
    """Return the digest of the sources that determine an export: all modules of the network and of the exporter."""
    files = [*network.source_files, *sorted(Path(__file__).parent.glob("*.py")), Path(inspect.getfile(Network))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def installed_export(job: Job, model_repository: Path) -> Export | None:
    """Return the installed export if it comes from the same weights and the same code as this job, else None."""
    path = job.destination(model_repository)
    try:
        record = dict(job.format.read_record(path))
    except (FileNotFoundError, ValueError):
        return None
    parity = record.pop("parity", {"cases": ()})
    record.pop(INTERFACE, None)
    if record != json.loads(json.dumps(job.record())):
        return None
    return Export(job, path, tuple(CaseParity(**case) for case in parity["cases"]))


def export(job: Job, model_repository: Path) -> Export:
    """Export a network, compare the file with it, and install it as model_repository/<network>/1/<file of the format>.

    Raises ParityError, and leaves the installed file untouched, if the difference exceeds the tolerance.
    """
    module = build(job.network, job.weights, job.seed)
    destination = job.destination(model_repository)
    destination.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic within one file system only.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=destination.parent) as folder:
        draft = Path(folder) / destination.name
        traced_inputs = job.network.example_inputs(job.weights.config, **job.network.traced_case)
        folded = job.network.fold(module) if job.network.fold else module
        exported = job.network.as_fp16(folded) if job.precision == "fp16" else folded
        job.format.write(job.network.interface, exported, traced_inputs, draft)
        run = job.format.open(job.network.interface, draft)
        runs: list[tuple[Tensors, Tensors]] = []

        def run_observed(inputs: Tensors) -> Tensors:
            runs.append((inputs, run(inputs)))
            return runs[-1][1]

        parity = compare(job.network, job.weights.config, module, run_observed)
        result = Export(job, destination, tuple(parity))
        refuse_beyond_tolerance(result)
        exported = describe_runs(job.network.step, runs)
        refuse_unserved(exported, job.network.step, list(PROFILES.values()))
        job.format.add_record(draft, result.record() | {INTERFACE: describe_interface(exported)})
        for file in Path(folder).iterdir():
            os.replace(file, destination.with_name(file.name))
    if job.network.side_file:
        job.network.side_file.write(module, job.weights.config, model_repository)
    return result


def describe_runs(step: Step, runs: Sequence[tuple[Tensors, Tensors]]) -> Step:
    """Describe an exported network's inputs and outputs, whose names follow from their position."""
    inputs = describe_named(step.inputs, [inputs for inputs, _ in runs])
    outputs = describe_named(step.outputs, [outputs for _, outputs in runs])
    return Step(step.name, inputs, outputs)


def describe_named(tensors: Sequence[Tensor], samples: Sequence[Tensors]) -> tuple[Tensor, ...]:
    """Describe samples of these tensors; an axis that is said to vary may have had one size in all of them."""
    described = describe([one.name for one in tensors], samples)
    return tuple(
        replace(seen, dims=tuple(-1 if said == -1 else size for said, size in zip(one.dims, seen.dims, strict=True)))
        if len(one.dims) == len(seen.dims)
        else seen
        for one, seen in zip(tensors, described, strict=True)
    )


def refuse_beyond_tolerance(result: Export) -> None:
    job, worst = result.job, result.worst
    if worst.largest_difference > job.tolerance.largest_difference:
        sizes = ", ".join(f"{name} {size}" for name, size in worst.case.items())
        raise ParityError(
            f"{job.network.name} as {job.format_name} {job.precision} differs from the network by "
            f"{worst.largest_difference:.1e} ({sizes}), more than {job.tolerance.largest_difference:.0e} "
            f"({job.tolerance.reason}); not installed"
        )
