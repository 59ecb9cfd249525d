"""Control a running tritonserver: its readiness, its models, and one inference.

Over HTTP rather than gRPC, because gRPC with mutual TLS demands a client certificate, which the launcher does not have.
With TLS, Triton's HTTP listens on the local address only.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

ADMIN_HEADER = "admin-key"
LOAD_TIMEOUT_SECONDS = 600.0  # large networks take minutes from a slow disk
RESTRICTED_PROTOCOLS = "model-repository,model-config,shared-memory,trace,logging"


class ControlError(OSError):
    """The server refused or failed a control request; the message is Triton's own."""


@dataclass(frozen=True)
class ControlClient:
    """Controls the server at `address` ("host:port") with the key to its restricted protocols."""

    address: str
    admin_key: str

    def is_ready(self, timeout_seconds: float = 2.0) -> bool:
        """Whether the server and all its models are ready."""
        try:
            self._request("GET", "/v2/health/ready", timeout_seconds)
        except OSError:
            return False
        return True

    def models(self, timeout_seconds: float = 10.0) -> dict[str, str]:
        """State of every loaded model, like {"jasper": "READY"}."""
        index = self._request("POST", "/v2/repository/index", timeout_seconds)
        return {model["name"]: model["state"] for model in index if "state" in model}

    def ready_models(self) -> list[str]:
        return [model for model, state in self.models().items() if state == "READY"]

    def ensembles(self, timeout_seconds: float = 10.0) -> dict[str, set[str]]:
        """Names of the steps of every ready ensemble."""
        configs = [self._request("GET", f"/v2/models/{model}/config", timeout_seconds) for model in self.ready_models()]
        return {
            config["name"]: {step["model_name"] for step in config["ensemble_scheduling"]["step"]}
            for config in configs
            if "ensemble_scheduling" in config
        }

    def load(self, model: str, timeout_seconds: float = LOAD_TIMEOUT_SECONDS) -> None:
        """Load a model; reload it if its files have changed since."""
        self._request("POST", f"/v2/repository/models/{model}/load", timeout_seconds)

    def unload(self, model: str, timeout_seconds: float = LOAD_TIMEOUT_SECONDS) -> None:
        self._request("POST", f"/v2/repository/models/{model}/unload", timeout_seconds)

    def infer(
        self, model: str, inputs: Mapping[str, tuple[str, list[Any]]], outputs: Sequence[str], timeout_seconds: float
    ) -> dict[str, Any]:
        """Send one row and return Triton's response as JSON; `inputs` holds datatype and values by tensor name."""
        request = {
            "inputs": [
                {"name": name, "datatype": datatype, "shape": [1, len(values)], "data": values}
                for name, (datatype, values) in inputs.items()
            ],
            "outputs": [{"name": name} for name in outputs],
        }
        return self._request("POST", f"/v2/models/{model}/infer", timeout_seconds, request)

    def _request(self, method: str, path: str, timeout_seconds: float, content: Mapping[str, Any] | None = None) -> Any:
        body = json.dumps(content or {}) if method == "POST" else None
        headers = {ADMIN_HEADER: self.admin_key, "Content-Type": "application/json"}
        # http.client, because urllib sends even local requests to a proxy of the environment.
        with closing(HTTPConnection(self.address, timeout=timeout_seconds)) as connection:
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                text = response.read().decode(errors="replace")
            except HTTPException as error:
                raise ControlError(f"{path}: the response is incomplete ({error!r})") from error
        if response.status != 200:
            raise ControlError(f"{path}: {response.status} {text}")
        return json.loads(text) if text else None
