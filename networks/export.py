"""Exports networks into the model repository, each checked against the network it came from before it is installed."""

import os
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from convai.networks.formats import FORMATS
from convai.networks.parity import CaseParity, ParityError, compare
from convai.networks.registry import Network
from convai.networks.weights import Weights, build, config_of

RECORDED_PACKAGES = ("convai", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Export:
    """An export that has been made and compared, whether or not it passed."""

    network: Network
    weights: Weights
    config: object
    format: str
    parity: tuple[CaseParity, ...]
    path: Path

    precision = "fp32"

    @property
    def largest_difference(self) -> float:
        return max(case.largest_difference for case in self.parity)

    @property
    def passed(self) -> bool:
        return self.largest_difference <= self.network.tolerance

    def record(self) -> dict:
        """What the file says about itself."""
        return {
            "network": self.network.name,
            "config_name": self.weights.config_name,
            "config": asdict(self.config),
            "format": self.format,
            "precision": self.precision,
            "weights": {"origin": self.weights.origin, "sha256": self.weights.sha256},
            "parity": {
                "largest_difference": self.largest_difference,
                "tolerance": self.network.tolerance,
                "cases": [asdict(case) for case in self.parity],
            },
            "versions": {package: version(package) for package in RECORDED_PACKAGES},
        }


def export(network: Network, weights: Weights, format_name: str, model_repository: Path, seed: int = 0) -> Export:
    """Export a network, compare it with itself, and install it as model_repository/<network>/1/<file of the format>.

    Raises ParityError, and leaves what was installed before untouched, if the difference exceeds the tolerance.
    """
    if format_name not in network.formats:
        raise ValueError(f"{network.name} cannot be exported as {format_name}; it can as {', '.join(network.formats)}")
    config, module = config_of(network, weights.config_name), build(network, weights, seed)
    kind = FORMATS[format_name]
    destination = model_repository / network.name / "1" / kind.file_name
    destination.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, for only within one file system is a rename atomic.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=destination.parent) as folder:
        draft = Path(folder) / kind.file_name
        kind.write(network, module, network.example_inputs(config, **network.traced_case), draft)
        parity = tuple(compare(network, config, module, kind.open(network, draft)))
        result = Export(network, weights, config, format_name, parity, destination)
        refuse_beyond_tolerance(result)
        kind.add_record(draft, result.record())
        os.replace(draft, destination)
    return result


def refuse_beyond_tolerance(result: Export) -> None:
    if not result.passed:
        worst = max(result.parity, key=lambda case: case.largest_difference)
        sizes = ", ".join(f"{name} {size}" for name, size in worst.case.items())
        raise ParityError(
            f"{result.network.name} as {result.format} differs from the network by {worst.largest_difference:.1e} "
            f"({sizes}); allowed is {result.network.tolerance:.0e}, {result.network.reason}; not installed"
        )
