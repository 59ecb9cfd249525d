"""The adapter for steps that answer one request with several responses, in Triton's word decoupled ones.

A step's model.py is `TritonPythonModel = streaming_step(PhraseSplitter)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.adapter import (
    InferenceRequest,
    InferenceResponse,
    Sender,
    StepModel,
    checked,
    failure,
    failure_of,
    read_inputs,
    tickets_of,
)
from convai.backends.runtime.pacing import UNPACED, Busy, Pacer
from convai.backends.runtime.parameters import whole_number
from convai.backends.runtime.python_step import StreamingStep
from convai.backends.runtime.rows import split_rows, stack_rows
from convai.description.pipeline import CHUNK_INDEX, STREAM_TICKET
from convai.errors import InvalidArgument

Response = Mapping[str, Array | str]


def streaming_step(step_class: type[StreamingStep]) -> type:
    """The class that Triton's Python backend looks for, running `step_class` on each request, which holds one row."""
    return type("TritonPythonModel", (StreamModel,), {"step_class": step_class})


class StreamModel(StepModel):
    """One decoupled Python step. In an ensemble, the steps after it pace it by their tickets."""

    def initialize(self, args: dict[str, str]) -> None:
        super().initialize(args)
        self.pacer = Pacer(
            whole_number(self.config, "max_streams", 16), whole_number(self.config, "patience_seconds", 300)
        )

    def execute(self, requests: list[InferenceRequest]) -> None:
        for request in requests:
            self.start(request)

    def start(self, request: InferenceRequest) -> None:
        sender = Sender(request)
        try:
            given, chunks = next(iter(tickets_of(request)), (None, 0))
            stream = StepStream(self, sender, self.responses(request), given)
            if STREAM_TICKET in sender.wanted:
                self.pacer.start(stream, chunks)
            else:  # whoever does not want the ticket will not return it
                while stream.send_next(UNPACED, chunks):
                    chunks += 1
        except Busy as error:
            sender.fail(failure("UNAVAILABLE", f"{self.name}: {error}"))
        except Exception as error:
            sender.fail(failure_of(self.name, error))

    def responses(self, request: InferenceRequest) -> Iterator[Response]:
        # Copied, because Triton takes the request's memory back before the last response is made.
        inputs = {name: array.copy() for name, array in read_inputs(request).items() if name != STREAM_TICKET}
        rows = list(split_rows(inputs, self.step.hints))
        if len(rows) != 1:
            raise InvalidArgument(f"got a request of {len(rows)} rows; allowed is 1, because each makes a stream")
        return cast(StreamingStep, self.step)(**rows[0], **self.request_parameters(request))

    def outputs_of(self, response: Response, ticket: int, chunks: int) -> dict[str, Array]:
        """The outputs of one response by name, with their batch axis."""
        after = chunks + (CHUNK_INDEX in self.outputs)  # other responses become chunks further on
        numbers = {CHUNK_INDEX: np.array([chunks], np.int32), STREAM_TICKET: np.array([ticket, after], np.int64)}
        made = {**response, **numbers}
        return {name: checked(name, stack_rows([made[name]]), dtype) for name, dtype in self.outputs.items()}

    def finalize(self) -> None:
        self.pacer.close()


class StepStream:
    """The responses of a step to one request, made one ahead of the sending, which has to know which is the last."""

    def __init__(
        self, model: StreamModel, sender: Sender, responses: Iterator[Response], given_ticket: int | None = None
    ):
        """`given_ticket` came with the request: whoever gets it back knows that all responses are done."""
        self.given_ticket = given_ticket
        self.model = model
        self.sender = sender
        self.responses = responses
        self.upcoming = next(responses)

    def send_next(self, ticket: int, chunks: int) -> bool:
        if self.sender.is_cancelled():
            return self.fail(failure("CANCELLED", f"{self.model.name}: the request was cancelled"))
        try:
            following = next(self.responses, None)
            if following is None and self.given_ticket is not None:
                ticket = self.given_ticket
            outputs = self.model.outputs_of(self.upcoming, ticket, chunks)
        except Exception as error:
            return self.fail(failure_of(self.model.name, error))
        self.sender.send(self.sender.success(outputs), is_last=following is None)
        if following is not None:
            self.upcoming = following
        return following is not None

    def fail(self, response: InferenceResponse) -> bool:
        self.sender.fail(response)
        return False

    def give_up(self, seconds: float) -> None:
        text = f"{self.model.name}: the steps after it finished nothing of this stream for {seconds:g} s"
        self.fail(failure("UNAVAILABLE", text))
