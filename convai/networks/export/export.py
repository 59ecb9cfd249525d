"""Exports networks into the model repository, each checked against the network it came from before it is installed."""

import copy
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from convai.errors import InvalidArgument
from convai.networks.checkpoints.weights import Weights, build
from convai.networks.export.formats import FORMATS, Format
from convai.networks.export.parity import CaseParity, ParityError, compare
from convai.networks.registry import PRECISIONS, Network, Tolerance

RECORDED_PACKAGES = ("convai", "torch", "onnx")
EXPORTER_FILES = (
    "export.py",
    "formats.py",
    "onnx_file.py",
    "onnx_loop.py",
    "onnx_trace.py",
    "torchscript_file.py",
    "plan_file.py",
)


@dataclass(frozen=True)
class Job:
    """What to export and as what. `seed` draws the weights where there are none."""

    network: Network
    weights: Weights
    format_name: str
    precision: str = "fp32"
    seed: int = 0

    def __post_init__(self):
        name, formats = self.network.name, self.network.formats
        if self.format_name not in formats:
            raise InvalidArgument(f"{name} cannot be exported as {self.format_name}; it can as {', '.join(formats)}")
        if self.precision not in PRECISIONS:
            raise InvalidArgument(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision}")

    @property
    def format(self) -> Format:
        return FORMATS[self.format_name]

    @property
    def tolerance(self) -> Tolerance:
        return self.network.tolerances[self.precision]

    def destination(self, model_repository: Path) -> Path:
        return model_repository / self.network.name / "1" / self.format.file_name

    def record(self) -> dict:
        """What the exported file says about itself, apart from its parity."""
        return {
            "network": self.network.name,
            "config_name": self.weights.config_name,
            "config": asdict(self.weights.config),
            "format": self.format_name,
            "precision": self.precision,
            "weights": {"origin": self.weights.origin, "sha256": self.weights.sha256},
            "code_sha256": code_sha256(self.network),
            "versions": {package: version(package) for package in RECORDED_PACKAGES},
        }


@dataclass(frozen=True)
class Export:
    """An installed file and how it compares with its network."""

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


def code_sha256(network: Network) -> str:
    """Digest of the source files that decide what an export holds: those of the network and of the exporter."""
    exporter = [Path(__file__).with_name(name) for name in EXPORTER_FILES]
    files = sorted({*network.source_files(), *exporter})
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def installed_export(job: Job, model_repository: Path) -> Export | None:
    """The installed export, if it was made of the same weights by the same code as this job would be."""
    path = job.destination(model_repository)
    try:
        record = dict(job.format.read_record(path))
    except (FileNotFoundError, ValueError):
        return None
    parity = record.pop("parity", {"cases": ()})
    if record != json.loads(json.dumps(job.record())):
        return None
    return Export(job, path, tuple(CaseParity(**case) for case in parity["cases"]))


def export(job: Job, model_repository: Path) -> Export:
    """Export a network, compare it with itself, and install it as model_repository/<network>/1/<file of the format>.

    Raises ParityError, and leaves what was installed before untouched, if the difference exceeds the tolerance.
    """
    module = build(job.network, job.weights, job.seed)
    destination = job.destination(model_repository)
    destination.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, for only within one file system is a rename atomic.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=destination.parent) as folder:
        draft = Path(folder) / destination.name
        traced_inputs = job.network.example_inputs(job.weights.config, **job.network.traced_case)
        exported = at_precision(job.network.fold(module), job.precision)
        job.format.write(job.network, exported, traced_inputs, draft)
        parity = compare(job.network, job.weights.config, module, job.format.open(job.network, draft))
        result = Export(job, destination, tuple(parity))
        refuse_beyond_tolerance(result)
        job.format.add_record(draft, result.record())
        for file in Path(folder).iterdir():
            os.replace(file, destination.with_name(file.name))
    job.network.write_companion(module, job.weights.config, model_repository)
    return result


def at_precision(module, precision: str):
    """The network to export; lengths, masks and everything on the wire keep their dtypes at any precision."""
    return copy.deepcopy(module).half() if precision == "fp16" else module


def refuse_beyond_tolerance(result: Export) -> None:
    job, worst = result.job, result.worst
    if worst.largest_difference > job.tolerance.largest_difference:
        sizes = ", ".join(f"{name} {size}" for name, size in worst.case.items())
        raise ParityError(
            f"{job.network.name} as {job.format_name} {job.precision} differs from the network by "
            f"{worst.largest_difference:.1e} ({sizes}); allowed is {job.tolerance.largest_difference:.0e} "
            f"({job.tolerance.reason}); not installed"
        )
