"""What the exporter and the readers of checkpoints have to know about a network."""

import copy
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convai.description.pipeline import STEPS, Step
from convai.networks.checkpoints.nemo_archive import NemoArchive
from convai.networks.checkpoints.renames import Converted

FORMAT_NAMES = ("onnx", "torchscript", "tensorrt")
PRECISIONS = ("fp32", "fp16")

Axes = Mapping[int, str]  # the axes whose size may vary, and their names
Tensors = tuple[Tensor, ...]
Runner = Callable[[Tensors], Tensors]  # an exported network: inputs in, outputs out


@dataclass(frozen=True)
class Tolerance:
    """The largest absolute difference from the FP32 network that an export may show, and why."""

    largest_difference: float
    reason: str


@dataclass(frozen=True)
class SideFile:
    """A file that the export of a network writes for another step. `path` is relative to the model repository."""

    path: Path
    encode: Callable[[Any, Any], bytes]  # takes the network and its configuration

    def write(self, module: nn.Module | None, config: Any, model_repository: Path) -> None:
        path = model_repository / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.encode(module, config))


@dataclass(frozen=True)
class LoopParts:
    """A network as the part before its loop, one iteration, and the part after it.

    Attributes
    ----------
    opening : the network's inputs -> (initial state, constants), a tuple of tensors each
    turn : iteration number, int64 scalar; state; constants -> (whether to go on, bool scalar; state). The first
        iteration always runs.
    closing : the collected tensor, then the state tensors of `closing_state` -> the network's outputs
    state, constants : what each iteration hands to the next, and what all of them read: axes by name
    collected : the state tensor that is kept from every iteration; `closing` gets it with a leading axis of iterations
    closing_state : the state tensors that `closing` reads from the last iteration
    """

    opening: nn.Module
    turn: nn.Module
    closing: nn.Module
    state: Mapping[str, Axes]
    constants: Mapping[str, Axes]
    collected: str
    closing_state: Sequence[str]


@dataclass(frozen=True)
class Interface:
    """What writing a file takes besides the module.

    Attributes
    ----------
    step : names, dtypes and shapes of the inputs and outputs
    variable_axes : by input, the axes whose size may differ between calls
    split_loop : splits a network whose loop ends depending on its results, which ONNX cannot trace as a whole
    """

    step: Step
    variable_axes: Mapping[str, Axes]
    split_loop: Callable[[Any], LoopParts] | None = None


@dataclass(frozen=True)
class Network:
    """How one network is built, read from published files, exported and checked.

    Its functions are named ones of modules, because worker processes get it pickled.

    Attributes
    ----------
    module_class : takes one of `configs`, or a configuration of the same class
    example_inputs : takes a configuration and the numbers of a case
    formats : the first is the default
    traced_case : the case that an export is traced with
    parity_cases : batch 1, a mixed batch of 4, and sizes other than those of `traced_case`; within the buckets for a
        plan
    tolerances : by each precision that it is exported in
    fp32_layers : modules that stay in FP32 in an FP16 export; `module_class` casts their input
    read_checkpoint : takes the dictionary of a file and its path; returns None if the file is not of this network
    nemo_class, read_nemo : the class of NVIDIA NeMo that stores this network, and the reader of its archives
    fold : returns a network with the same outputs for less work; the exporter writes that one
    """

    name: str
    module_class: Callable[[Any], nn.Module]
    configs: Mapping[str, Any]
    example_inputs: Callable[..., Tensors]
    formats: tuple[str, ...]
    variable_axes: Mapping[str, Axes]
    traced_case: Mapping[str, int]
    parity_cases: tuple[Mapping[str, int], ...]
    tolerances: Mapping[str, Tolerance]
    read_checkpoint: Callable[[Mapping[str, Any], Path], Converted | None]
    fp32_layers: tuple[str, ...] = ()
    nemo_class: str | None = None
    read_nemo: Callable[[NemoArchive], Converted] | None = None
    fold: Callable[[Any], nn.Module] | None = None
    split_loop: Callable[[Any], LoopParts] | None = None
    side_file: SideFile | None = None

    @property
    def step(self) -> Step:
        """The pipeline's description of the inputs and outputs."""
        return next(step for step in STEPS if step.name == self.name)

    @property
    def interface(self) -> Interface:
        return Interface(self.step, self.variable_axes, self.split_loop)

    def as_fp16(self, module: nn.Module) -> nn.Module:
        """Return a copy in FP16, apart from `fp32_layers`."""
        halved = copy.deepcopy(module).half()
        for name in self.fp32_layers:
            halved.get_submodule(name).float()
        return halved

    @property
    def source_files(self) -> list[Path]:
        """All modules in the network's folder."""
        return sorted(Path(inspect.getfile(self.module_class)).parent.glob("*.py"))


def encode_options(options: Any) -> bytes:
    """Return a dataclass as the JSON of a side file."""
    return (json.dumps(asdict(options), indent=2) + "\n").encode()
