"""A network as a Triton model on the CPU, whatever runs it: the requests of a batch are joined, run once and split.

An engine's model.py derives `TritonPythonModel` from NetworkModel and says how its kind of file is loaded and run.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from convai.backends.adapter import failure, log_exception, read_inputs, success, version_folder
from convai.backends.engines.runs import Arrays, run_requests
from convai.backends.failures import engine_error

# Holds eight questions of 30 s or answers of 10 s; where memory grows faster than the inputs, configure less.
DEFAULT_MAX_ELEMENTS_PER_RUN = 2**21


class NetworkModel:
    """One network; derived classes define `load` and `run`."""

    def load(self, file: Path, config: dict) -> None:
        """Load the network from its file; `config` is Triton's ModelConfig as a dictionary."""
        raise NotImplementedError

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name for inputs by name; axis 0 of each is the batch axis."""
        raise NotImplementedError

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self.name = config["name"]
        self.max_elements_per_run = positive_integer(config, "max_elements_per_run", DEFAULT_MAX_ELEMENTS_PER_RUN)
        file = version_folder(args) / config["default_model_filename"]
        if not file.is_file():
            raise FileNotFoundError(
                f"{self.name}: {self.name}/{args['model_version']}/{file.name} is missing from the model repository;"
                " `convai export` makes it"
            )
        self.load(file, config)

    def execute(self, requests: list) -> list:
        cancelled = [request.is_cancelled() for request in requests]
        inputs = [read_inputs(request) for request, gone in zip(requests, cancelled, strict=True) if not gone]
        answers = iter(run_requests(self.run, inputs, self.max_elements_per_run))
        return [
            failure("CANCELLED", f"{self.name}: the request was cancelled") if gone else self.respond(request, answers)
            for request, gone in zip(requests, cancelled, strict=True)
        ]

    def respond(self, request, answers: Iterator[Arrays | Exception]):
        answer = next(answers)
        if not isinstance(answer, Exception):
            return success(answer, request)
        log_exception(self.name, answer)
        code = "INVALID_ARG" if isinstance(answer, ValueError) else "INTERNAL"
        return failure(code, engine_error(self.name, answer))


def positive_integer(config: dict, parameter: str, default: int) -> int:
    """A parameter of a model's configuration."""
    text = config.get("parameters", {}).get(parameter, {}).get("string_value", str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{config['name']}: parameter {parameter} is {text!r}; allowed are whole numbers from 1")
    return int(text)
