"""A network as a Triton model on the CPU: the requests of a batch are concatenated, run once and split.

An engine's model.py is `TritonPythonModel = network_model(OnnxNetwork)`. The class loads and runs one kind of file; of
Triton it knows only the parameters of a model's configuration.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from convai.backends.engines.runs import Arrays, run_requests
from convai.backends.runtime.adapter import InferenceRequest, InferenceResponse, TritonModel, read_inputs
from convai.backends.runtime.busy_cores import mark_busy
from convai.backends.runtime.parameters import read_whole_number

# Holds eight questions of 30 s or answers of 10 s; configure less where memory grows faster than the inputs.
DEFAULT_MAX_ELEMENTS_PER_RUN = 2**21


class LoadedNetwork(Protocol):
    """Runs one exported network."""

    def __init__(self, file: Path, config: Mapping[str, Any]):
        """Load the network from its file; `config` is Triton's ModelConfig as a dictionary."""
        ...

    def run(self, inputs: Arrays) -> Arrays:
        """Compute the outputs by name; axis 0 of each input and output is the batch axis."""
        ...


def network_model(network_class: type[LoadedNetwork]) -> type:
    """The class that Triton's Python backend looks for, running `network_class` on the requests of each batch."""
    return type("TritonPythonModel", (NetworkModel,), {"network_class": network_class})


class NetworkModel(TritonModel):
    """A network."""

    network_class: type[LoadedNetwork]

    def initialize(self, args: dict[str, str]) -> None:
        super().initialize(args)
        self.max_elements_per_run = read_whole_number(self.config, "max_elements_per_run", DEFAULT_MAX_ELEMENTS_PER_RUN)
        file = self.version_folder / self.config["default_model_filename"]
        if not file.is_file():
            raise FileNotFoundError(
                f"{self.name}: {self.name}/{args['model_version']}/{file.name} is missing from the model repository;"
                " `convai export` makes it"
            )
        self.network = self.network_class(file, self.config)

    def execute(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        with mark_busy():
            results = run_requests(self.network.run, [*map(read_inputs, requests)], self.max_elements_per_run)
        return [
            self.respond(request, partial(unwrap, result)) for request, result in zip(requests, results, strict=True)
        ]


def unwrap(result: Arrays | Exception) -> Arrays:
    if isinstance(result, Exception):
        raise result
    return result
