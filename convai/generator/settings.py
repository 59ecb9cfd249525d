"""How a step can be set up to run: engine, batching, queue and parameters, with their rules and units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODEL_FILES = {
    "onnxruntime": "model.onnx",
    "openvino": "model.onnx",
    "pytorch": "model.pt",
    "tensorrt": "model.plan",
    "python": "model.py",
}
KINDS = ("KIND_CPU", "KIND_GPU")  # of processors that Triton runs a model on


@dataclass(frozen=True)
class ShapeRange:
    """Dims, without the batch axis, that an exported network accepts and is tuned for (a TensorRT profile)."""

    smallest: tuple[int, ...]
    usual: tuple[int, ...]
    largest: tuple[int, ...]

    def __post_init__(self):
        if not len(self.smallest) == len(self.usual) == len(self.largest):
            raise ValueError(f"smallest {self.smallest}, usual {self.usual} and largest {self.largest} differ in rank")
        for low, usual, high in zip(self.smallest, self.usual, self.largest, strict=True):
            if not 0 < low <= usual <= high:
                raise ValueError(f"sizes must rise from smallest to largest, got {low}, {usual}, {high}")


@dataclass(frozen=True)
class Settings:
    """One step under one profile. `parameters` reach a Python step as its fields, an engine as Triton parameters."""

    engine: str = "python"
    instances: int = 1
    kind: str = "KIND_CPU"
    joins_requests: bool = True  # several requests run as one batch; only if rows do not influence each other
    preferred_batch_size: int | None = None  # no more at once than so many, as long as another process is free
    max_queue_delay_microseconds: int = 0  # batching delay; it costs processor time too: docs/architecture.md
    max_queue_size: int = 64  # requests waiting; one more is refused with UNAVAILABLE
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, ShapeRange] = field(default_factory=dict)  # per input of a network
    accelerator: str | None = None  # an execution accelerator of the ONNX Runtime backend

    def __post_init__(self):
        if self.engine not in MODEL_FILES:
            raise ValueError(f"engine {self.engine!r} is unknown; allowed are {', '.join(MODEL_FILES)}")
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        for name in ("instances", "max_queue_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_queue_delay_microseconds < 0:
            got = self.max_queue_delay_microseconds
            raise ValueError(f"max_queue_delay_microseconds must not be negative, got {got}")


def thread_parameters(engine: str, threads: int) -> dict[str, int]:
    """The parameters by which Triton's backends are told how many threads one run of a network may use."""
    names = {
        "onnxruntime": ("intra_op_thread_count", "inter_op_thread_count"),
        "openvino": ("INFERENCE_NUM_THREADS", "NUM_STREAMS"),
        "pytorch": ("INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"),
    }
    if engine not in names:
        raise ValueError(f"engine {engine!r} takes no number of threads; those that do are {', '.join(names)}")
    within, between = names[engine]
    return {within: threads, between: 1}
