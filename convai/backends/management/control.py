"""Control a running tritonserver over gRPC: its readiness, its models, and one inference."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from convai.backends.management.tls import ControlTls

ADMIN_HEADER = "admin-key"
LOAD_TIMEOUT_SECONDS = 600.0  # large networks take minutes from a slow disk
RESTRICTED_PROTOCOLS = ("model-repository", "shared-memory", "trace", "logging")
CHANNEL_ARGUMENTS = [
    ("grpc.enable_http_proxy", 0),  # otherwise even local requests go to a proxy of the environment
    ("grpc.use_local_subchannel_pool", 1),  # a call does not wait for the reconnection pause of an earlier one
]


class ControlError(OSError):
    """The server refused or failed a control request; the message is Triton's own."""


@dataclass(frozen=True)
class ControlClient:
    """Controls the server at `address` ("host:port") with the key to its restricted protocols."""

    address: str
    admin_key: str
    tls: ControlTls | None = None

    def is_ready(self, timeout_seconds: float = 2.0) -> bool:
        """Whether the server and all its models are ready."""
        try:
            with self._connect("readiness") as client:
                return client.is_server_ready(client_timeout=timeout_seconds)
        except ControlError:
            return False

    def models(self, timeout_seconds: float = 10.0) -> dict[str, str]:
        """State of every loaded model, like {"jasper": "READY"}."""
        with self._connect("models") as client:
            index = client.get_model_repository_index(self._headers, client_timeout=timeout_seconds)
        return {model.name: model.state for model in index.models if model.state}

    def ready_models(self) -> list[str]:
        return [model for model, state in self.models().items() if state == "READY"]

    def ensembles(self, timeout_seconds: float = 10.0) -> dict[str, set[str]]:
        """Names of the steps of every ready ensemble."""
        options = {"headers": self._headers, "client_timeout": timeout_seconds}
        models = self.ready_models()
        with self._connect("configurations") as client:
            configs = [client.get_model_config(model, **options).config for model in models]
        return {
            config.name: {step.model_name for step in config.ensemble_scheduling.step}
            for config in configs
            if config.HasField("ensemble_scheduling")
        }

    def load(self, model: str, timeout_seconds: float = LOAD_TIMEOUT_SECONDS) -> None:
        """Load a model; reload it if its files have changed since."""
        with self._connect(f"load {model}") as client:
            client.load_model(model, self._headers, client_timeout=timeout_seconds)

    def unload(self, model: str, timeout_seconds: float = LOAD_TIMEOUT_SECONDS) -> None:
        with self._connect(f"unload {model}") as client:
            client.unload_model(model, self._headers, client_timeout=timeout_seconds)

    def infer(
        self, model: str, inputs: Mapping[str, tuple[str, list[Any]]], outputs: Sequence[str], timeout_seconds: float
    ) -> None:
        """Send one row and wait for its outputs; `inputs` holds datatype and values by tensor name."""
        tensors = [
            triton.InferInput(name, [1, len(values)], datatype).set_data_from_numpy(
                np.array([values], triton_to_np_dtype(datatype))
            )
            for name, (datatype, values) in inputs.items()
        ]
        requested = [triton.InferRequestedOutput(name) for name in outputs]
        with self._connect(f"infer {model}") as client:
            client.infer(model, tensors, outputs=requested, client_timeout=timeout_seconds)

    @property
    def _headers(self) -> dict[str, str]:
        return {f"triton-grpc-protocol-{ADMIN_HEADER}": self.admin_key}

    @contextmanager
    def _connect(self, request: str) -> Generator[Any]:  # tritonclient's own annotations are wrong
        """A connection for one request, because a stopping server waits for those that stay open."""
        arguments = CHANNEL_ARGUMENTS + (self.tls.channel_arguments() if self.tls else [])
        credentials = self.tls.credentials() if self.tls else None
        try:
            with triton.InferenceServerClient(self.address, creds=credentials, channel_args=arguments) as client:
                yield client
        except InferenceServerException as error:
            raise ControlError(f"{request}: {error.message()}") from error
