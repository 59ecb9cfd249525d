"""The pipeline without a server: its steps are called directly, configured as the model repository configures them."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
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
ENGINES = {  # by Triton backend; imported on use, because not all of them are installed
    "onnxruntime": ("convai.backends.engines.onnxruntime.network", "OnnxNetwork"),
    "openvino": ("convai.backends.engines.openvino.network", "OpenVinoNetwork"),
    "pytorch": ("convai.backends.engines.pytorch.network", "TorchScriptNetwork"),
}


@dataclass(frozen=True)
class PipelineRun:
    """The requested tensors of one request, and the seconds of the whole run and of each step."""

    tensors: Arrays
    seconds: float
    step_seconds: dict[str, float]

    @property
    def answer(self) -> Answer:
        return Answer.from_tensors(self.tensors)


class InProcessPipeline:
    """Does the work of an ensemble by calling `steps` one after the other."""

    def __init__(self, steps: Mapping[str, RunStep]):
        self.steps = steps

    def run(self, request: Request) -> PipelineRun:
        tensors = dict(request.inputs)
        step_seconds = {}
        begin = time.perf_counter()
        for call in needed_calls(request.model, request.outputs, JASPER):
            start = time.perf_counter()
            outputs = self.steps[call.step]({name: tensors[edge] for name, edge in call.inputs.items()})
            step_seconds[call.step] = time.perf_counter() - start
            tensors |= {edge: outputs[name] for name, edge in call.outputs.items()}
        seconds = time.perf_counter() - begin
        return PipelineRun({name: tensors[name] for name in request.outputs}, seconds, step_seconds)


class PipelineProcess:
    """The pipeline in a process of its own, because an engine's threads are set once per process.

    `threads` is the number of threads of each network; None keeps the profile's.
    """

    def __init__(self, model_repository: Path, profile: str, threads: int | None = None):
        spawn = multiprocessing.get_context("spawn")
        self.connection, far_end = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(far_end, model_repository, profile, threads), daemon=True)
        self.process.start()
        far_end.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None  # the constructor started it
        return self.process.pid

    def run(self, request: Request) -> PipelineRun:
        self.connection.send(request)
        result = self.connection.recv()
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        self.connection.close()
        self.process.join()


def _serve(connection: Connection, model_repository: Path, profile: str, threads: int | None) -> None:
    """Run requests until the other end is closed or its process has died."""
    pipeline = None
    with suppress(EOFError), redirect_stdout(sys.stderr):  # engines print; stdout belongs to the benchmark
        while request := connection.recv():
            try:
                pipeline = pipeline or load_pipeline(model_repository, profile, threads)
                connection.send(pipeline.run(request))
            except (InvalidArgument, OSError) as error:
                connection.send(error)


def load_pipeline(model_repository: Path, profile: str, threads: int | None = None) -> InProcessPipeline:
    """Load every step. The networks run on the server's CPU engines, with `threads` threads or the profile's."""
    networks = {name: load_network(name, model_repository, profile, threads) for name in NETWORK_NAMES}
    return InProcessPipeline(load_python_steps(model_repository, profile) | networks)


def load_python_steps(model_repository: Path, profile: str) -> dict[str, RunStep]:
    return {step: load_python_step(step, model_repository, profile) for step in PYTHON_STEP_NAMES}


def load_python_step(name: str, model_repository: Path, profile: str) -> RunStep:
    module = import_module(f"convai.backends.steps.{name}")
    step_class = getattr(module, name.title().replace("_", ""))
    step = build_step(step_class, read_config(name, model_repository, profile), model_repository / name / "1")
    parameters = dict.fromkeys(step.request_parameters)
    return lambda inputs: _stack([step(**row, **parameters) for row in split_rows(inputs)])


def _stack(rows: Sequence[Mapping[str, Array | str]]) -> Arrays:
    return {name: stack_rows([row[name] for row in rows]) for name in rows[0]}


def load_network(name: str, model_repository: Path, profile: str, threads: int | None = None) -> RunStep:
    config = read_config(name, model_repository, profile)
    engine = config["backend"]
    if threads:
        parameters = thread_parameters(engine, threads)
        config["parameters"] |= {name: {"string_value": str(value)} for name, value in parameters.items()}
    file = model_repository / name / "1" / config["default_model_filename"]
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; `convai export` writes it")
    if engine not in ENGINES:
        raise InvalidArgument(f"{name}: expected an engine of {', '.join(ENGINES)} to run in process, got {engine}")
    module, network_class = ENGINES[engine]
    network = getattr(import_module(module), network_class)(file, config)
    return lambda inputs: use_plain_names(network.run(inputs))


def use_plain_names(outputs: Arrays) -> Arrays:
    """Key tensors by the pipeline's names instead of the engine's."""
    return {plain_name(name): array for name, array in outputs.items()}


def read_config(name: str, model_repository: Path, profile: str) -> dict:
    """Return Triton's ModelConfig of a step as the dictionary that the server passes to it."""
    config: Any = parse(model_repository / name / PROFILES[profile].config_file)
    return MessageToDict(config, preserving_proto_field_name=True)
