"""Triton's ModelConfig message. Protobuf creates the class at import, so type checkers cannot see it."""

from typing import Any

from tritonclient.grpc import model_config_pb2

DataType: Any = model_config_pb2.DataType  # pyright: ignore[reportAttributeAccessIssue]
ModelConfig = Any


def empty_config() -> ModelConfig:
    """Return a new ModelConfig message."""
    return model_config_pb2.ModelConfig()  # pyright: ignore[reportAttributeAccessIssue]
