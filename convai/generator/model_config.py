"""Triton's ModelConfig as far as we read it: protobuf makes its class on import, where no type checker sees it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tritonclient.grpc import model_config_pb2

DataType: Any = model_config_pb2.DataType  # pyright: ignore[reportAttributeAccessIssue]  made on import


class TensorConfig(Protocol):
    """An input or output; outputs have no `optional`."""

    name: str
    data_type: int
    dims: Sequence[int]


class StepConfig(Protocol):
    """One call of an ensemble."""

    model_name: str
    input_map: Mapping[str, str]
    output_map: Mapping[str, str]


class TransactionPolicy(Protocol):
    decoupled: bool


class EnsembleConfig(Protocol):
    step: Sequence[StepConfig]


class ModelConfig(Protocol):
    name: str
    backend: str
    max_batch_size: int
    input: Sequence[TensorConfig]
    output: Sequence[TensorConfig]
    ensemble_scheduling: EnsembleConfig
    model_transaction_policy: TransactionPolicy

    def HasField(self, field_name: str) -> bool: ...


def empty_config() -> Any:
    """A ModelConfig to be filled."""
    return model_config_pb2.ModelConfig()  # pyright: ignore[reportAttributeAccessIssue]  made on import
