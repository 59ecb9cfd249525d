"""Runs an ensemble from the client, one call per step, for debugging and for comparison with the single call."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from convai.arrays import Array
from convai.client.answer import Answer
from convai.client.base import Calls
from convai.client.client import ConvaiClient
from convai.client.requests import Request
from convai.client.steps import calls_of
from convai.description.pipeline import Call
from convai.description.wire_names import plain_name


@dataclass(frozen=True)
class RoundTrip:
    """One step called from the client; the time includes sending its inputs and receiving its outputs."""

    step: str
    round_trip_seconds: float


@dataclass(frozen=True)
class Walk:
    """The answer, as the ensemble would give it, and the time of each step."""

    answer: Answer
    times: tuple[RoundTrip, ...]


class StepByStep(Calls[Walk]):
    """Answers as the ensembles do, by calling their steps through `client`; each call returns a `Walk`."""

    def __init__(self, client: ConvaiClient):
        self.client = client

    def answer(self, request: Request) -> Walk:
        """Run the steps that the outputs of `request` need; any ensemble but a streaming one."""
        tensors = dict(request.inputs)
        times: list[RoundTrip] = []
        for call in calls_of(request, self.client.read_counters()):
            step_request = self._step_request(call, tensors, request.parameters)
            start = time.perf_counter()
            made = self.client.infer(step_request)
            times.append(RoundTrip(call.step, time.perf_counter() - start))
            tensors |= dict(zip(call.outputs.values(), made.values(), strict=True))
        return Walk(Answer.from_tensors({name: tensors[name] for name in request.outputs}), tuple(times))

    def _step_request(self, call: Call, tensors: dict[str, Array], parameters: Mapping[str, float]) -> Request:
        wire_names = read_wire_names(self.client, call.step)
        inputs = {wire_names[name]: tensors[edge] for name, edge in call.inputs.items()}
        return Request(call.step, inputs, tuple(wire_names[name] for name in call.outputs), parameters)


def read_wire_names(client: ConvaiClient, step: str) -> dict[str, str]:
    """Return the names of a step's tensors on the server by their plain names; LibTorch's is `mel_length__1`."""
    with client.connection.translate_errors():
        metadata = client.triton.get_model_metadata(step, client_timeout=client.connection.timeout_seconds)
    names = [tensor.name for tensor in (*metadata.inputs, *metadata.outputs)]
    return {plain_name(name): name for name in names}
