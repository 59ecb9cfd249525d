"""The adapter between Triton's Python backend and our steps; the only module that imports Triton's Python utilities.

A step's model.py is `TritonPythonModel = python_step(CtcDecoder)`.

Triton completes its utilities (errors, tensors, log) only after it has imported the model, hence the late look-ups.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from threading import Timer
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils

from convai.arrays import Array
from convai.backends.runtime.failures import internal_error, mistake
from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.pacing import tell_done
from convai.backends.runtime.parameters import build_step, whole_number
from convai.backends.runtime.python_step import PythonStep
from convai.backends.runtime.rows import split_rows, stack_rows
from convai.description.pipeline import STREAM_TICKET
from convai.errors import InvalidArgument

FAILURE_SECONDS = 0.02  # nothing tells when Triton has taken a request back; failed at once, one in six crashed it

# Written as texts, because Triton has not completed its utilities yet.
InferenceRequest: TypeAlias = "pb_utils.InferenceRequest"
InferenceResponse: TypeAlias = "pb_utils.InferenceResponse"


def python_step(step_class: type[PythonStep]) -> type:
    """The class that Triton's Python backend looks for, running `step_class` on each row of each request."""
    return type("TritonPythonModel", (StepModel,), {"step_class": step_class})


class StepModel:
    """One Python step. A request that fails gets its error alone; the others of its batch are answered."""

    step_class: type[PythonStep]

    def initialize(self, args: dict[str, str]) -> None:
        self.config = json.loads(args["model_config"])
        self.name = self.config["name"]
        self.outputs = output_dtypes(self.config)
        os.nice(whole_number(self.config, "niceness", 0, lowest=0))  # before a step makes threads, which inherit it
        self.step = build_step(self.step_class, self.config, version_folder(args))
        self.counters = [PrometheusCounter(counter, self.name) for counter in self.step.counters]

    def execute(self, requests: list[InferenceRequest]) -> list[InferenceResponse] | None:
        responses = [self.respond(request) for request in requests]
        tell_done(ticket for request in requests for ticket in tickets_of(request))
        return responses

    def respond(self, request: InferenceRequest) -> InferenceResponse:
        # Not asked: whether it was cancelled. That costs as much as the way to this process and back, and within an
        # ensemble Triton never says yes.
        try:
            return success(self.run(request), request)
        except Exception as error:
            return failure_of(self.name, error)

    def run(self, request: InferenceRequest) -> dict[str, Array]:
        """Every output by name, stacked over the request's rows."""
        given = self.request_parameters(request)
        inputs = {name: array for name, array in read_inputs(request).items() if name != STREAM_TICKET}
        rows = [(row, self.step(**row, **given)) for row in split_rows(inputs, self.step.hints)]
        outputs = {
            name: checked(name, stack_rows([made[name] for _, made in rows]), dtype)
            for name, dtype in self.outputs.items()
        }
        for counter in self.counters:
            counter.count(rows)
        return outputs

    def request_parameters(self, request: InferenceRequest) -> dict[str, Any]:
        names = self.step.request_parameters
        given = json.loads(request.parameters() or "{}") if names else {}
        return {name: given.get(name) for name in names}


class Sender:
    """Takes the responses to one request, however many and from whichever thread."""

    def __init__(self, request: InferenceRequest):
        self.wanted = set(request.requested_output_names())
        self.sender = request.get_response_sender()

    def is_cancelled(self) -> bool:
        """Whether the caller has gone; in an ensemble, Triton does not tell."""
        return self.sender.is_cancelled()

    def success(self, outputs: dict[str, Array]) -> InferenceResponse:
        return response(outputs, self.wanted)

    def send(self, response: InferenceResponse, is_last: bool) -> None:
        self.sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if is_last else 0)

    def fail(self, response: InferenceResponse) -> None:
        """End with an error, once Triton has its request back: sent from within `execute`, 2.51 may crash over it."""
        Timer(FAILURE_SECONDS, self.send, (response, True)).start()


class PrometheusCounter:
    """A step's counter as a metric of the server, which all instances of the step share."""

    def __init__(self, counter: Counter, step: str):
        self.counter = counter
        # Kept, because Triton forgets a metric together with its family.
        self.family = pb_utils.MetricFamily(counter.name, counter.help, pb_utils.MetricFamily.COUNTER)
        self.metric = self.family.Metric(labels={"model": step})

    def count(self, rows: Iterable[tuple[Row, Row]]) -> None:
        if total := self.counter.total(rows):  # which travels to the server and back
            self.metric.increment(total)


def version_folder(args: dict[str, str]) -> Path:
    """The folder of the model version being loaded, from the arguments of `initialize`."""
    return Path(args["model_repository"]) / args["model_version"]


def output_dtypes(config: Mapping[str, Any]) -> dict[str, np.dtype[Any]]:
    return {
        output["name"]: np.dtype(pb_utils.triton_string_to_numpy(output["data_type"])) for output in config["output"]
    }


def checked(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    # Triton would pass a wrong dtype to the caller as it is, mislabelled.
    if array.dtype != dtype:
        raise TypeError(f"output {name} has dtype {array.dtype}; the configuration says {dtype}")
    return array


def read_inputs(request: InferenceRequest) -> dict[str, Array]:
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def tickets_of(request: InferenceRequest) -> list[list[int]]:
    """Of a step that paces us, each with a number of chunks; see `pacing`."""
    return [
        ticket for tensor in request.inputs() if tensor.name() == STREAM_TICKET for ticket in tensor.as_numpy().tolist()
    ]


def success(outputs: dict[str, Array], request: InferenceRequest) -> InferenceResponse:
    """A response with those of the outputs that the request asked for."""
    return response(outputs, set(request.requested_output_names()))


def response(outputs: dict[str, Array], wanted: Set[str]) -> InferenceResponse:
    tensors = [pb_utils.Tensor(name, array) for name, array in outputs.items() if name in wanted]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def failure(code: str, text: str) -> InferenceResponse:
    """A response that carries only an error; `code` names one of Triton's, like "INVALID_ARG"."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, getattr(pb_utils.TritonError, code)))


def failure_of(step: str, error: Exception) -> InferenceResponse:
    """A mistake of the caller in its own words; anything else by its kind, and whole in the server's log."""
    if isinstance(error, InvalidArgument):
        return failure("INVALID_ARG", mistake(step, error))
    pb_utils.Logger.log_error(f"{step}: {''.join(traceback.format_exception(error))}")
    return failure("INTERNAL", internal_error(step, error))
