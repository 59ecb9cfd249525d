"""The adapter between Triton's Python backend and our code; the only module that imports Triton's Python utilities.

A step's model.py is `TritonPythonModel = python_step(CtcDecoder)`, or `streaming_step(PhraseSplitter)` for a step that
answers one request with several responses.

Triton completes its utilities (errors, tensors, log) only after it has imported the model, hence the late look-ups.
"""

import json
import os
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any, TypeAlias, cast

import numpy as np
import triton_python_backend_utils as pb_utils

from convai.arrays import Array
from convai.backends.runtime.admission import AdmissionControl, ServerMetrics, read_parent_command
from convai.backends.runtime.busy_cores import mark_busy
from convai.backends.runtime.failures import LimitReached, describe_internal_error, describe_invalid_argument
from convai.backends.runtime.flow_control import (
    ARRIVED,
    MAX_IN_FLIGHT,
    MAX_STREAMS,
    NO_CREDIT,
    Credit,
    FlowControl,
    acknowledge,
)
from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.parameters import build_step, parse_value, read_whole_number
from convai.backends.runtime.python_step import PythonStep, StreamingStep
from convai.backends.runtime.rows import split_rows, stack_rows
from convai.description.pipeline import CHUNK_INDEX, STREAM_TICKET
from convai.errors import InvalidArgument

# Triton 2.51 may crash if a decoupled request ends with an error from within `execute`: one in six did. Nothing reports
# when Triton has taken the request back.
FAILURE_SECONDS = 0.02
MAX_CHUNKS = 2**31 - 2  # of a stream, in INT32

# Written as texts, because Triton has not completed its utilities yet.
InferenceRequest: TypeAlias = "pb_utils.InferenceRequest"
InferenceResponse: TypeAlias = "pb_utils.InferenceResponse"

Outputs = Mapping[str, Array | str]  # of one row, by name


def python_step(step_class: type[PythonStep]) -> type:
    """The class that Triton's Python backend looks for, running `step_class` on each row of each request."""
    return type("TritonPythonModel", (StepModel,), {"step_class": step_class})


def streaming_step(step_class: type[StreamingStep]) -> type:
    """The class that Triton's Python backend looks for, running `step_class` on each request of one row."""
    return type("TritonPythonModel", (StreamModel,), {"step_class": step_class})


class TritonModel:
    """A Triton model of the Python backend. A request that fails receives an error; the rest of its batch does not."""

    def initialize(self, args: dict[str, str]) -> None:
        self.config = json.loads(args["model_config"])
        self.name = self.config["name"]
        self.version_folder = Path(args["model_repository"]) / args["model_version"]
        os.nice(read_whole_number(self.config, "niceness", 0, lowest=0))  # threads that are made later inherit it

    # Whether a request was cancelled is not asked: it costs as much as the way to this process and back, and within
    # an ensemble Triton never reports it.
    def respond(self, request: InferenceRequest, compute: Callable[[], Mapping[str, Array]]) -> InferenceResponse:
        """The response with the requested outputs among those that `compute` returns, or with the error it raises."""
        try:
            return make_response(compute(), request.requested_output_names())
        except Exception as error:
            return self.make_error(error)

    def make_error(self, error: Exception) -> InferenceResponse:
        """An invalid argument in its own words; any other error by its class, and in full in the server's log."""
        if isinstance(error, InvalidArgument):
            return make_failure("INVALID_ARG", describe_invalid_argument(self.name, error))
        if isinstance(error, LimitReached):
            return make_failure("UNAVAILABLE", f"{self.name}: {error}")
        pb_utils.Logger.log_error(f"{self.name}: {''.join(traceback.format_exception(error))}")
        return make_failure("INTERNAL", describe_internal_error(self.name, error))


class StepModel(TritonModel):
    """A Python step."""

    step_class: type[PythonStep]

    def initialize(self, args: dict[str, str]) -> None:
        super().initialize(args)
        self.dtypes = {
            output["name"]: np.dtype(pb_utils.triton_string_to_numpy(output["data_type"]))
            for output in self.config["output"]
        }
        self.step = build_step(self.step_class, self.config, self.version_folder)
        self.counters = [PrometheusCounter(counter, self.name) for counter in self.step.counters]
        self.admission = make_admission_control(self.config)

    def execute(self, requests: list[InferenceRequest]) -> list[InferenceResponse] | None:
        with mark_busy():
            responses = [self.respond(request, partial(self.run, request)) for request in requests]
        acknowledge(ticket for request in requests for ticket in read_tickets(request))
        return responses

    def run(self, request: InferenceRequest) -> dict[str, Array]:
        """The requested outputs by name, stacked over the request's rows."""
        if self.admission:
            self.admission.admit()
        requested = frozenset(request.requested_output_names())
        parameters = self.read_request_parameters(request)
        if self.step.outputs_on_request:
            parameters["requested"] = requested.intersection(self.step.outputs_on_request)
        rows = [(row, self.step(**row, **parameters)) for row in split_rows(read_inputs(request))]
        outputs = self.pack([outputs for _, outputs in rows], requested)
        for counter in self.counters:
            counter.count(rows)
        return outputs

    def pack(self, rows: list[Outputs], requested: Collection[str]) -> dict[str, Array]:
        """Stack the rows of each requested output; TypeError for a dtype that Triton would pass on mislabelled."""
        packed = {name: stack_rows([row[name] for row in rows]) for name in self.dtypes if name in requested}
        for name, array in packed.items():
            if array.dtype != self.dtypes[name]:
                raise TypeError(f"output {name}: expected dtype {self.dtypes[name]}, got {array.dtype}")
        return packed

    def read_request_parameters(self, request: InferenceRequest) -> dict[str, Any]:
        names = self.step.request_parameters
        given = json.loads(request.parameters() or "{}") if names else {}
        return {name: given.get(name) for name in names}


class StreamModel(StepModel):
    """A decoupled Python step. In an ensemble, the following steps acknowledge its responses."""

    def initialize(self, args: dict[str, str]) -> None:
        super().initialize(args)
        self.flow_control = FlowControl(
            read_whole_number(self.config, "max_streams", MAX_STREAMS),
            read_whole_number(self.config, "max_in_flight", MAX_IN_FLIGHT),
        )

    def execute(self, requests: list[InferenceRequest]) -> None:
        for request in requests:
            self.start(request)

    def start(self, request: InferenceRequest) -> None:
        sender = Sender(request)
        try:
            *received, chunks = next(iter(read_tickets(request)), [*NO_CREDIT, 0])
            acknowledge([(*received, ARRIVED)])
            stream = StepStream(self, sender, self.run_stream(request), Credit(*received))
            if STREAM_TICKET in sender.requested:
                self.flow_control.start(stream, chunks)
            else:  # a caller that does not receive tickets cannot acknowledge them
                while not stream.is_complete and stream.send_next(NO_CREDIT, chunks):
                    chunks += 1
        except Exception as error:
            sender.fail(self.make_error(error))

    def run_stream(self, request: InferenceRequest) -> Iterator[Outputs]:
        # Copied, because Triton takes the request's memory back before the last response is made.
        inputs = {name: array.copy() for name, array in read_inputs(request).items()}
        rows = list(split_rows(inputs))
        if len(rows) != 1:
            raise InvalidArgument(f"inputs: expected 1 row, because each makes a stream, got {len(rows)}")
        return cast(StreamingStep, self.step)(**rows[0], **self.read_request_parameters(request))

    def pack_response(
        self, outputs: Outputs, requested: Collection[str], credit: Credit, chunks: int
    ) -> dict[str, Array]:
        """The requested outputs of one response by name, with their batch axis."""
        if not 0 <= chunks <= MAX_CHUNKS:  # a caller of this step alone may send any ticket
            raise InvalidArgument(f"{STREAM_TICKET}: expected 0 to {MAX_CHUNKS} chunks, got {chunks}")
        following = chunks + (CHUNK_INDEX in self.dtypes)  # without the tensor, a later step makes chunks of responses
        numbers = {CHUNK_INDEX: np.array([chunks], np.int32), STREAM_TICKET: np.array([*credit, following], np.int64)}
        return self.pack([{**outputs, **numbers}], requested)

    def finalize(self) -> None:
        self.flow_control.close()


class Sender:
    """Sends the responses to one request, from any thread."""

    def __init__(self, request: InferenceRequest):
        self.requested = frozenset(request.requested_output_names())
        self.sender = request.get_response_sender()

    def is_cancelled(self) -> bool:
        """Whether the caller has gone; in an ensemble, Triton does not report it."""
        return self.sender.is_cancelled()

    def send(self, response: InferenceResponse, is_last: bool) -> None:
        self.sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if is_last else 0)

    def fail(self, response: InferenceResponse) -> None:
        """End with an error, once Triton has its request back."""
        Timer(FAILURE_SECONDS, self.send, (response, True)).start()


class StepStream:
    """The responses of a step to one request, computed one ahead of sending, which must know the last one.

    Parameters
    ----------
    received_credit : what came with the request; it goes back once all responses are done
    """

    def __init__(self, model: StreamModel, sender: Sender, responses: Iterator[Outputs], received_credit: Credit):
        self.model, self.sender = model, sender
        self.responses, self.received_credit = responses, received_credit
        self.upcoming: Outputs | None = next(responses)

    @property
    def is_complete(self) -> bool:
        return self.upcoming is None

    @property
    def size(self) -> int:
        """Characters and bytes of the next response."""
        values = (self.upcoming or {}).values()
        return sum(len(value) if isinstance(value, str) else value.nbytes for value in values)

    def send_next(self, credit: Credit, chunks: int) -> bool:
        outputs = self.upcoming
        assert outputs is not None  # flow control asks no more after the last
        if self.sender.is_cancelled():
            self.sender.fail(make_failure("CANCELLED", f"{self.model.name}: the request was cancelled"))
            return False
        try:
            self.upcoming = next(self.responses, None)
            requested = self.sender.requested
            response = make_response(self.model.pack_response(outputs, requested, credit, chunks), requested)
        except Exception as error:
            self.sender.fail(self.model.make_error(error))
            return False
        self.sender.send(response, is_last=self.is_complete)
        return True

    def finish(self, chunks: int) -> None:
        acknowledge([(*self.received_credit, chunks)])

    def abort(self, idle_seconds: float) -> None:
        text = f"{self.model.name}: the following steps finished nothing of this stream for {idle_seconds:g} s"
        self.sender.fail(make_failure("UNAVAILABLE", text))


class PrometheusCounter:
    """A step's counter as a metric of the server, shared by all instances of the step."""

    def __init__(self, counter: Counter, step: str):
        self.counter = counter
        # Kept, because Triton drops a metric together with its family.
        self.family = pb_utils.MetricFamily(counter.name, counter.help, pb_utils.MetricFamily.COUNTER)
        self.metric = self.family.Metric(labels={"model": step})

    def count(self, rows: Iterable[tuple[Row, Row]]) -> None:
        if total := self.counter.total(rows):  # an increment is a message to the server and back
            self.metric.increment(total)


def make_admission_control(config: Mapping[str, Any]) -> AdmissionControl | None:
    """None for a step whose configuration sets no limit."""
    if "max_waiting" not in config.get("parameters", {}):
        return None
    steps = parse_value(config["name"], "waiting_for", config["parameters"]["waiting_for"]["string_value"])
    limit = read_whole_number(config, "max_waiting", 1)
    return AdmissionControl(steps, limit, ServerMetrics(read_parent_command()).read_waiting)


def read_inputs(request: InferenceRequest) -> dict[str, Array]:
    """The inputs of a request by name, without its ticket."""
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs() if tensor.name() != STREAM_TICKET}


def read_tickets(request: InferenceRequest) -> list[list[int]]:
    """The tickets of a request, each a credit and a number of chunks; see `flow_control`."""
    return [
        ticket for tensor in request.inputs() if tensor.name() == STREAM_TICKET for ticket in tensor.as_numpy().tolist()
    ]


def make_response(outputs: Mapping[str, Array], requested: Collection[str]) -> InferenceResponse:
    """A response with those outputs whose names were requested."""
    tensors = [pb_utils.Tensor(name, array) for name, array in outputs.items() if name in requested]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def make_failure(code: str, text: str) -> InferenceResponse:
    """A response that carries only an error; `code` is the name of one of Triton's, such as "INVALID_ARG"."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, getattr(pb_utils.TritonError, code)))
