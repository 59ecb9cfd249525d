"""The settings of a step: engine, batching, queue and parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MODEL_FILES = {
    "onnxruntime": "model.onnx",
    "openvino": "model.onnx",
    "pytorch": "model.pt",
    "tensorrt": "model.plan",
    "python": "model.py",
}
KINDS = ("KIND_CPU", "KIND_GPU")  # Triton's names

Shape = tuple[int, ...]  # with the batch axis
Inputs = Mapping[str, Shape]  # by input of a network


@dataclass(frozen=True)
class ShapeRange:
    """Dims, without the batch axis, that an exported network accepts (TensorRT: its optimisation profile)."""

    smallest: tuple[int, ...]
    usual: tuple[int, ...]
    largest: tuple[int, ...]

    def __post_init__(self):
        if not len(self.smallest) == len(self.usual) == len(self.largest):
            raise ValueError(f"smallest {self.smallest}, usual {self.usual} and largest {self.largest} differ in rank")
        for low, usual, high in zip(self.smallest, self.usual, self.largest, strict=True):
            if not 0 < low <= usual <= high:
                raise ValueError(f"expected 0 < smallest <= usual <= largest, got {low}, {usual}, {high}")

    def batches(self, max_batch_size: int) -> tuple[Shape, Shape, Shape]:
        """The smallest, usual and largest shape with the batch axis; requests usually come one at a time."""
        return (1, *self.smallest), (1, *self.usual), (max_batch_size, *self.largest)


@dataclass(frozen=True)
class Settings:
    """One step under one profile. `parameters` become the fields of a Python step, or the parameters of an engine."""

    engine: str = "python"
    instances: int = 1
    kind: str = "KIND_CPU"
    max_batch_size: int = 8  # of a run; an ensemble has the smallest of its steps
    batches_requests: bool = True  # dynamic batching; only for models whose rows do not influence each other
    preferred_batch_size: int | None = 1  # each request runs alone; None batches all that wait
    max_queue_delay_microseconds: int = 0  # batching delay: larger batches, but more latency and processor time
    max_queue_size: int | None = None  # with a limit, a request that finds all processes busy may wait 0.5 s in vain
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, ShapeRange] = field(default_factory=dict)  # per input of a network
    accelerator: str | None = None  # an execution accelerator of the ONNX Runtime backend
    accelerator_parameters: Mapping[str, str] = field(default_factory=dict)
    warm_up: Sequence[Inputs] = ()  # runs of zeros before the server is ready

    def __post_init__(self):
        if self.engine not in MODEL_FILES:
            raise ValueError(f"engine: expected one of {', '.join(MODEL_FILES)}, got {self.engine!r}")
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        for name in ("instances", "max_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.max_queue_delay_microseconds < 0:
            got = self.max_queue_delay_microseconds
            raise ValueError(f"max_queue_delay_microseconds: expected at least 0, got {got}")


def thread_parameters(engine: str, threads: int) -> dict[str, int]:
    """The parameters that limit the threads of one run of a network, as each of Triton's backends names them."""
    names = {
        "onnxruntime": ("intra_op_thread_count", "inter_op_thread_count"),
        "openvino": ("INFERENCE_NUM_THREADS", "NUM_STREAMS"),
        "pytorch": ("INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"),
    }
    if engine not in names:
        raise ValueError(f"engine: expected one of {', '.join(names)}, got {engine!r}")
    within, between = names[engine]
    return {within: threads, between: 1}
