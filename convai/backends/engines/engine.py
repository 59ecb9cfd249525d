"""A network as a Triton model on the CPU, whatever runs it: the requests of a batch are joined, run once and split.

An engine's model.py is `TritonPythonModel = network_model(OnnxNetwork)`, with a class that loads its kind of file and
runs it, and that knows nothing of Triton but the parameters of a model's configuration.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from convai.backends.engines.runs import Arrays, run_requests
from convai.backends.runtime.adapter import (
    InferenceRequest,
    InferenceResponse,
    failure_of,
    read_inputs,
    success,
    version_folder,
)
from convai.backends.runtime.parameters import whole_number

# Holds eight questions of 30 s or answers of 10 s; where memory grows faster than the inputs, configure less.
DEFAULT_MAX_ELEMENTS_PER_RUN = 2**21


class LoadedNetwork(Protocol):
    """What runs one exported network."""

    def __init__(self, file: Path, config: Mapping[str, Any]):
        """Load the network from its file; `config` is Triton's ModelConfig as a dictionary."""
        ...

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name for inputs by name; axis 0 of each is the batch axis."""
        ...


def network_model(network_class: type[LoadedNetwork]) -> type:
    """The class that Triton's Python backend looks for, running `network_class` on the requests of each batch."""
    return type("TritonPythonModel", (NetworkModel,), {"network_class": network_class})


class NetworkModel:
    """One network. A request that fails gets its error alone."""

    network_class: type[LoadedNetwork]

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self.name = config["name"]
        self.max_elements_per_run = whole_number(config, "max_elements_per_run", DEFAULT_MAX_ELEMENTS_PER_RUN)
        file = version_folder(args) / config["default_model_filename"]
        if not file.is_file():
            raise FileNotFoundError(
                f"{self.name}: {self.name}/{args['model_version']}/{file.name} is missing from the model repository;"
                " `convai export` makes it"
            )
        # Before its threads are made, which inherit it.
        os.nice(whole_number(config, "niceness", 0, lowest=0))
        self.network = self.network_class(file, config)

    def execute(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        answers = run_requests(self.network.run, [*map(read_inputs, requests)], self.max_elements_per_run)
        return [self.respond(request, answer) for request, answer in zip(requests, answers, strict=True)]

    def respond(self, request: InferenceRequest, answer: Arrays | Exception) -> InferenceResponse:
        try:
            if isinstance(answer, Exception):
                raise answer
            return success(answer, request)
        except Exception as error:
            return failure_of(self.name, error)
