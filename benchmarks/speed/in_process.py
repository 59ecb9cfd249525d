"""The steps of the pipeline called directly, as a model repository sets them up for the server."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from convai.arrays import Array
from convai.backends.runtime.parameters import build_step
from convai.backends.runtime.rows import split_rows, stack_rows
from convai.client.answer import Answer
from convai.client.requests import Request
from convai.client.steps import needed_calls
from convai.description.pipeline import NETWORK_NAMES, PYTHON_STEP_NAMES
from convai.description.recognisers import JASPER
from convai.description.wire_names import plain_name
from convai.errors import InvalidArgument
from convai.generator.check import parse
from convai.generator.profiles import PROFILES
from convai.generator.settings import thread_parameters

Arrays = dict[str, Array]  # by tensor name, shape = (rows, ...)
RunStep = Callable[[Arrays], Arrays]


class InProcess:
    """Does what the ensembles do by calling `steps`."""

    def __init__(self, steps: Mapping[str, RunStep]):
        self.steps = steps

    def walk(self, request: Request) -> tuple[Answer, dict[str, float]]:
        """The answer to a request to one of the ensembles, and the seconds of each step that it needed."""
        tensors, seconds = self.run(request)
        return Answer.from_tensors(tensors), seconds

    def run(self, request: Request) -> tuple[Arrays, dict[str, float]]:
        """As `walk`, with the tensors that Triton would send."""
        tensors = dict(request.inputs)
        seconds = {}
        for call in needed_calls(request.model, request.outputs, JASPER):
            start = time.perf_counter()
            made = self.steps[call.step]({name: tensors[edge] for name, edge in call.inputs.items()})
            seconds[call.step] = time.perf_counter() - start
            tensors |= {edge: made[name] for name, edge in call.outputs.items()}
        return {name: tensors[name] for name in request.outputs}, seconds


def whole_pipeline(model_repository: Path, profile: str, threads: int | None = None) -> InProcess:
    return InProcess(python_steps(model_repository, profile) | networks(model_repository, profile, threads))


def python_steps(model_repository: Path, profile: str) -> dict[str, RunStep]:
    """The Python steps; they stay where they are called, whatever else becomes of the networks."""
    return {step: python_step(step, model_repository, profile) for step in PYTHON_STEP_NAMES}


def python_step(name: str, model_repository: Path, profile: str) -> RunStep:
    module = import_module(f"convai.backends.steps.{name}")
    step_class = getattr(module, name.title().replace("_", ""))
    step = build_step(step_class, read_config(name, model_repository, profile), model_repository / name / "1")
    given = dict.fromkeys(step.request_parameters)
    return lambda inputs: stacked([step(**row, **given) for row in split_rows(inputs)])


def stacked(rows: Sequence[Mapping[str, Array | str]]) -> Arrays:
    return {name: stack_rows([row[name] for row in rows]) for name in rows[0]}


def networks(model_repository: Path, profile: str, threads: int | None = None) -> dict[str, RunStep]:
    """The networks on the same engines as the server runs them on a CPU, with the same threads or so many each."""
    return {name: network(name, model_repository, profile, threads) for name in NETWORK_NAMES}


def network(name: str, model_repository: Path, profile: str, threads: int | None = None) -> RunStep:
    config = read_config(name, model_repository, profile)
    if threads:
        config["parameters"] |= string_values(thread_parameters(config["backend"], threads))
    file = model_repository / name / "1" / config["default_model_filename"]
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; `convai export` makes it")
    loaded = network_class(name, config["backend"])(file, config)
    return lambda inputs: plainly_named(loaded.run(inputs))


def string_values(parameters: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Parameters as Triton's ModelConfig holds them."""
    return {name: {"string_value": str(value)} for name, value in parameters.items()}


def network_class(name: str, engine: str) -> type:
    if engine == "onnxruntime":
        from convai.backends.engines.onnxruntime.network import OnnxNetwork

        return OnnxNetwork
    if engine == "openvino":
        from convai.backends.engines.openvino.network import OpenVinoNetwork

        return OpenVinoNetwork
    if engine == "pytorch":
        from convai.backends.engines.pytorch.network import TorchScriptNetwork

        return TorchScriptNetwork
    raise InvalidArgument(
        f"{name} runs on {engine}; what can be called directly runs on onnxruntime, openvino or pytorch"
    )


def plainly_named(outputs: Arrays) -> Arrays:
    return {plain_name(name): array for name, array in outputs.items()}


def read_config(name: str, model_repository: Path, profile: str) -> dict:
    """Triton's ModelConfig of a step as the dictionary that the server hands to it."""
    config: Any = parse(model_repository / name / PROFILES[profile].config_file)
    return MessageToDict(config, preserving_proto_field_name=True)


def by_name(steps: Iterable[str], run: Callable[[str, Arrays], Arrays]) -> dict[str, RunStep]:
    """`run` with its first argument filled in, for each step."""
    return {step: lambda inputs, step=step: run(step, inputs) for step in steps}
