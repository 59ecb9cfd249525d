"""A fake of the module that Triton provides to models of its Python backend, as far as the adapter uses it."""

import json
import sys
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType

import numpy as np


@dataclass
class Tensor:
    tensor_name: str
    array: np.ndarray

    def name(self) -> str:
        return self.tensor_name

    def as_numpy(self) -> np.ndarray:
        return self.array


@dataclass
class TritonError:
    text: str
    code: str

    INVALID_ARG, INTERNAL, CANCELLED, UNAVAILABLE = "INVALID_ARG", "INTERNAL", "CANCELLED", "UNAVAILABLE"


@dataclass
class InferenceResponse:
    output_tensors: list[Tensor] = field(default_factory=list)
    error: TritonError | None = None


class ResponseSender:
    """Keeps the responses of a decoupled step, each with whether it was the last."""

    def __init__(self):
        self.sent: list[tuple[InferenceResponse, bool]] = []
        self.has_gone = False

    def send(self, response: InferenceResponse, flags: int = 0) -> None:
        self.sent.append((response, flags == FakePythonBackend.TRITONSERVER_RESPONSE_COMPLETE_FINAL))

    def is_cancelled(self) -> bool:
        return self.has_gone


class Request:
    """A request for every output of a step, from arrays by name, shape = (rows, ...)."""

    def __init__(self, outputs: list[str], **inputs: np.ndarray):
        self.outputs, self.tensors = outputs, [Tensor(*item) for item in inputs.items()]
        self.sender = ResponseSender()

    def get_response_sender(self) -> ResponseSender:
        return self.sender

    def inputs(self) -> list[Tensor]:
        return self.tensors

    def requested_output_names(self) -> list[str]:
        return self.outputs


class FakePythonBackend(ModuleType):
    """Replaces `triton_python_backend_utils`; `log` holds the errors that were written to the server's log."""

    Tensor, TritonError, InferenceResponse = Tensor, TritonError, InferenceResponse
    TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1

    def __init__(self):
        super().__init__("triton_python_backend_utils")
        self.log: list[str] = []
        self.Logger = self

    def log_error(self, text: str) -> None:
        self.log.append(text)

    def triton_string_to_numpy(self, name: str) -> type:
        return {
            "TYPE_FP32": np.float32,
            "TYPE_INT32": np.int32,
            "TYPE_INT64": np.int64,
            "TYPE_STRING": np.object_,
        }[name]

    def install(self, monkeypatch) -> None:
        """Import the modules that need Triton's utilities anew with this fake, until the test is over."""
        monkeypatch.setitem(sys.modules, self.__name__, self)
        for name in ("runtime.adapter", "engines.engine"):
            name = f"convai.backends.{name}"
            monkeypatch.setitem(sys.modules, name, None)  # so that the import below is undone after the test
            del sys.modules[name]
            import_module(name)


def arguments(folder, name: str, outputs: dict[str, str], **config) -> dict[str, str]:
    """The arguments of a model's `initialize`; `outputs` are data types by name."""
    listed = [{"name": output, "data_type": data_type} for output, data_type in outputs.items()]
    return {
        "model_config": json.dumps({"name": name, "output": listed} | config),
        "model_repository": str(folder),
        "model_version": "1",
    }
