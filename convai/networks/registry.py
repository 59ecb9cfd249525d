"""The four networks, and what exporting each of them takes."""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from convai.description.pipeline import STEPS, Step

FORMAT_NAMES = ("onnx", "torchscript", "tensorrt")
PRECISIONS = ("fp32", "fp16")

Runner = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]  # an exported network: inputs in, outputs out


@dataclass(frozen=True)
class Tolerance:
    """The largest absolute difference from the FP32 network that an export may show, and why."""

    largest_difference: float
    reason: str

    def __post_init__(self):
        if self.largest_difference <= 0:
            raise ValueError(f"largest_difference must be positive, got {self.largest_difference}")


@dataclass(frozen=True)
class Network:
    """How one network is built, exported and checked.

    `class_name` stands in `convai.networks.<name>.model`, beside CONFIGS and example_inputs. The first of `formats` is
    the default. `variable_axes` names, per input, the axes whose size may differ from one call to the next.
    `parity_cases` are arguments of example_inputs: batch 1, a mixed batch of 4, and sizes unlike those of
    `traced_case`; for a plan they must be within the buckets. `tolerances` are by precision. `folded_class`, in
    `fold.py`, makes of the network one that answers the same for less work; it is what is exported. `loop_module` has
    the `parts` of a network whose loop ends when its results say so, which ONNX cannot trace whole.
    """

    name: str
    class_name: str
    formats: tuple[str, ...]
    variable_axes: Mapping[str, Mapping[int, str]]
    traced_case: Mapping[str, int]
    parity_cases: tuple[Mapping[str, int], ...]
    tolerances: Mapping[str, Tolerance]
    folded_class: str | None = None
    loop_module: str | None = None
    companion_module: str | None = None

    def __post_init__(self):
        unknown = set(self.formats) - set(FORMAT_NAMES)
        if unknown or not self.formats:
            got = ", ".join(self.formats) or "none"
            raise ValueError(f"formats must be some of {', '.join(FORMAT_NAMES)}, got {got}")
        if set(self.tolerances) != set(PRECISIONS):
            raise ValueError(f"tolerances must be given for {', '.join(PRECISIONS)}, got {', '.join(self.tolerances)}")

    @property
    def step(self) -> Step:
        """The pipeline's description of the inputs and outputs."""
        return next(step for step in STEPS if step.name == self.name)

    @property
    def configs(self) -> Mapping[str, Any]:
        return self._module.CONFIGS

    def build(self, config: Any) -> nn.Module:
        return getattr(self._module, self.class_name)(config)

    def fold(self, module: nn.Module) -> nn.Module:
        """The network to export in place of this one."""
        if self.folded_class is None:
            return module
        return getattr(importlib.import_module(f"convai.networks.{self.name}.fold"), self.folded_class)(module)

    def loop_parts(self, module: nn.Module) -> Any:
        """Its `LoopParts`; None for a network that can be traced whole."""
        if self.loop_module is None:
            return None
        return importlib.import_module(f"convai.networks.{self.name}.{self.loop_module}").parts(module)

    def write_companion(self, module: nn.Module, config: Any, model_repository: Path) -> None:
        """Write into the model repository what another step needs to know of the network, if anything."""
        if self.companion_module is not None:
            importlib.import_module(f"convai.networks.{self.name}.{self.companion_module}").write_companion(
                module, config, model_repository
            )

    def source_files(self) -> set[Path]:
        """The modules of the network's folder that its computation is made of; its training is not among them."""
        names = {
            "model",
            "fold" if self.folded_class else "model",
            self.loop_module or "model",
            self.companion_module or "model",
        }
        folder, files = Path(self._module.__file__ or "").parent, set[Path]()
        while names:
            file = folder / f"{names.pop()}.py"
            if file not in files:
                files.add(file)
                names |= set(re.findall(rf"convai\.networks\.{self.name}\.(\w+)", file.read_text(encoding="utf-8")))
        return files

    def example_inputs(self, config: Any, **case: int) -> tuple[Tensor, ...]:
        return self._module.example_inputs(config, **case)

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f"convai.networks.{self.name}.model")


WINDOW_AXES = {0: "batch", 1: "windows", 2: "tokens"}

NETWORKS = {
    network.name: network
    for network in (
        Network(
            "jasper",
            class_name="Jasper",
            formats=("onnx", "torchscript", "tensorrt"),
            variable_axes={"features": {0: "batch", 2: "frames"}, "features_length": {0: "batch"}},
            traced_case={"batch": 2, "length": 64},
            parity_cases=(
                {"batch": 1, "length": 128},
                {"batch": 4, "length": 192, "seed": 1},
                {"batch": 3, "length": 133, "seed": 2},
            ),
            tolerances={
                "fp32": Tolerance(1e-3, "a log-probability this far off is a probability off by a thousandth"),
                "fp16": Tolerance(5e-2, "FP16 keeps three digits, and log-probabilities reach the tens"),
            },
            companion_module="log_mel_file",
        ),
        Network(
            "bert",
            class_name="Bert",
            formats=("onnx", "torchscript", "tensorrt"),
            variable_axes=dict.fromkeys(("input_ids", "token_type_ids", "attention_mask"), WINDOW_AXES),
            traced_case={"batch": 2, "length": 64, "windows": 3},
            parity_cases=(
                {"batch": 1, "length": 96, "windows": 1},
                {"batch": 4, "length": 72, "windows": 2, "seed": 1},
                {"batch": 2, "length": 384, "windows": 1, "seed": 2},
            ),
            tolerances={
                "fp32": Tolerance(1e-3, "a logit this far off changes the odds of an answer by a thousandth"),
                "fp16": Tolerance(5e-2, "FP16 keeps three digits, and logits reach the tens"),
            },
        ),
        Network(
            "tacotron2",
            class_name="Tacotron2",
            formats=("onnx", "torchscript"),
            variable_axes={"symbol_ids": {0: "batch", 1: "symbols"}, "symbols_length": {0: "batch"}},
            traced_case={"batch": 2, "length": 32},
            parity_cases=(
                {"batch": 1, "length": 6},
                {"batch": 4, "length": 12, "seed": 1},
                {"batch": 3, "length": 9, "seed": 2},
            ),
            tolerances={
                "fp32": Tolerance(2e-2, "a sixth of a decibel; each frame is made from the last"),
                "fp16": Tolerance(5e-2, "half a decibel; FP16 keeps three digits, and a frame is made from the last"),
            },
            loop_module="loop",
            companion_module="symbols_file",
        ),
        Network(
            "waveglow",
            class_name="WaveGlow",
            formats=("onnx", "tensorrt"),
            variable_axes={"padded_mel": {0: "batch", 2: "frames"}, "z": {0: "batch", 2: "groups"}},
            traced_case={"batch": 2, "length": 40},
            parity_cases=(
                {"batch": 1, "length": 128},
                {"batch": 4, "length": 130, "seed": 1},
                {"batch": 3, "length": 141, "seed": 2},
            ),
            tolerances={
                "fp32": Tolerance(1e-4, "of full scale; a tenth of what a batch neighbour may change"),
                "fp16": Tolerance(2e-2, "FP16 keeps three digits in each of the flows; of full scale"),
            },
            folded_class="FoldedWaveGlow",
            companion_module="bias",
        ),
    )
}
