"""Walks an ensemble from the client, one call per step: for debugging, and to compare with the ensemble's one call."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from convai.arrays import Array
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.requests import Request, ask_request
from convai.description.pipeline import Call
from convai.description.recognisers import JASPER, RECOGNISERS, Recogniser
from convai.description.wire_names import plain_name
from convai.description.wiring import wiring_of


@dataclass(frozen=True)
class RoundTrip:
    """One step called from the client; the time includes sending its inputs and receiving its outputs."""

    step: str
    round_trip_seconds: float


@dataclass(frozen=True)
class Walk:
    """What the ensemble would have answered, and how long each step took."""

    answer: Answer
    times: tuple[RoundTrip, ...]


class StepByStep:
    """Does what the ensembles do by calling their steps through `client`."""

    def __init__(self, client: ConvaiClient):
        self.client = client

    def ask(
        self,
        audio: Array,
        *,
        sample_rate: int,
        context: str,
        outputs: Iterable[str] | None = None,
        seed: int | None = None,
    ) -> Walk:
        """As `ConvaiClient.ask`."""
        return self.walk(ask_request(audio, sample_rate, context, outputs, seed))

    def walk(self, request: Request) -> Walk:
        """Run the steps that the outputs of `request`, a request to any of the ensembles, need."""
        tensors = dict(request.inputs)
        times = []
        for call in needed_calls(request.model, request.outputs, recogniser_of(self.client)):
            step_request = self._step_request(call, tensors, request.parameters)
            start = time.perf_counter()
            made = self.client.infer(step_request)
            times.append(RoundTrip(call.step, time.perf_counter() - start))
            tensors |= dict(zip(call.outputs.values(), made.values(), strict=True))
        return Walk(Answer.from_tensors({name: tensors[name] for name in request.outputs}), tuple(times))

    def _step_request(self, call: Call, tensors: dict[str, Array], parameters: dict[str, int]) -> Request:
        wire_names = wire_names_of(self.client, call.step)
        inputs = {wire_names[name]: tensors[edge] for name, edge in call.inputs.items()}
        return Request(call.step, inputs, tuple(wire_names[name] for name in call.outputs), parameters)


def wire_names_of(client: ConvaiClient, step: str) -> dict[str, str]:
    """A step's tensors as the server knows them, by their plain names: LibTorch calls an output `mel_length__1`."""
    with client.connection.explained():
        metadata = client.triton.get_model_metadata(step, client_timeout=client.connection.timeout_seconds)
    names = [tensor.name for tensor in (*metadata.inputs, *metadata.outputs)]
    return {plain_name(name): name for name in names}


def recogniser_of(client: ConvaiClient) -> Recogniser:
    """The recogniser that a server hears with: the one whose steps it has; Jasper if it has none of them."""
    with client.connection.explained():
        for recogniser in RECOGNISERS.values():
            ready = (
                client.triton.is_model_ready(step.name, client_timeout=client.connection.timeout_seconds)
                for step in recogniser.steps
            )
            if all(ready):
                return recogniser
    return JASPER


def needed_calls(ensemble: str, outputs: Iterable[str], recogniser: Recogniser = JASPER) -> tuple[Call, ...]:
    """The calls, in order, that `outputs` of an ensemble need, each left with the outputs that are used."""
    used = set(outputs)
    calls = []
    for call in reversed(wiring_of(ensemble, recogniser).calls):
        wanted = {tensor: edge for tensor, edge in call.outputs.items() if edge in used}
        if wanted:
            calls.append(replace(call, outputs=wanted))
            used |= set(call.inputs.values())
    return tuple(reversed(calls))
