"""Which responses a decoupled step sends and when, on a fake of Triton's Python backend."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pytest
from support.convai_process import wait_until
from support.fake_python_backend import FakePythonBackend, Request, arguments

from convai.backends.runtime.flow_control import ARRIVED, MESSAGE, acknowledge, socket_address
from convai.backends.runtime.python_step import StreamingStep
from convai.description.pipeline import CHUNK_INDEX, STREAM_TICKET
from convai.errors import InvalidArgument

OUTPUTS = {"half": "TYPE_FP32", STREAM_TICKET: "TYPE_INT64"}
NUMBERED = {"half": "TYPE_FP32", CHUNK_INDEX: "TYPE_INT32", STREAM_TICKET: "TYPE_INT64"}


@dataclass(frozen=True)
class Halver(StreamingStep):
    """Sends one number after the other, halved; refuses a negative one, and fails for NaN."""

    def __call__(self, *, x: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        for number in x:
            if number < 0:
                raise InvalidArgument(f"x: expected positive numbers, got {number}")
            assert not np.isnan(number)
            yield {"half": np.array([number / 2], np.float32)}


@pytest.fixture
def backend(monkeypatch):
    backend = FakePythonBackend()
    backend.install(monkeypatch)
    return backend


@pytest.fixture
def load(backend, tmp_path):
    """Loads the step with the given outputs and a limit of one stream."""
    models = []

    def load(outputs=OUTPUTS):
        model = import_module("convai.backends.runtime.adapter").streaming_step(Halver)()
        model.initialize(arguments(tmp_path, "halver", outputs, parameters={"max_streams": {"string_value": "1"}}))
        models.append(model)
        return model

    yield load
    for model in models:
        model.finalize()


@pytest.fixture
def step(load):
    return load()


def make_request(*numbers, outputs=("half",), ticket=None):
    tickets = {} if ticket is None else {STREAM_TICKET: np.array([ticket], np.int64)}
    return Request(list(outputs), x=np.array([numbers], np.float32), **tickets)


def wait_until_sent(request, count):
    wait_until(lambda: len(request.sender.sent) >= count)


def read_sent(request):
    """The numbers that were sent, an error as its code and text, and which response was the last."""
    values = [
        (response.error.code, response.error.text) if response.error else response.output_tensors[0].array.item()
        for response, _ in request.sender.sent
    ]
    return values, [is_last for _, is_last in request.sender.sent]


def read_tickets(request):
    return [
        tensor.array[0].tolist()
        for response, _ in request.sender.sent
        for tensor in response.output_tensors
        if tensor.name() == STREAM_TICKET
    ]


def test_a_caller_without_tickets_receives_all_responses_at_once(step):
    request = make_request(2, 4, 6)
    assert step.execute([request]) is None
    assert read_sent(request) == ([1, 2, 3], [False, False, True])


def test_a_caller_with_tickets_receives_one_response_per_acknowledgement(step):
    request = make_request(2, 4, 6, outputs=OUTPUTS)
    step.execute([request])
    for num_sent in (1, 2):
        assert len(request.sender.sent) == num_sent
        acknowledge(read_tickets(request)[-1:])
        wait_until_sent(request, num_sent + 1)
    assert read_sent(request) == ([1, 2, 3], [False, False, True])
    assert len({number for _, number, _ in read_tickets(request)}) == 3


def test_the_step_before_learns_that_its_response_arrived_and_later_that_all_of_it_is_done(step):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as step_before:
        step_before.bind(socket_address(os.getpid()))
        step_before.settimeout(10)
        request = make_request(2, 4, outputs=OUTPUTS, ticket=[os.getpid(), 77, 5])
        step.execute([request])
        assert MESSAGE.unpack(step_before.recv(100)) == (77, ARRIVED)
        for num_sent in (1, 2):
            wait_until_sent(request, num_sent)
            (*own, _) = read_tickets(request)[-1]
            acknowledge([[*own, num_sent]])
        assert MESSAGE.unpack(step_before.recv(100)) == (77, 2)


def test_chunk_numbers_continue_those_of_earlier_responses(load):
    request = make_request(2, 4, outputs=NUMBERED, ticket=[7, 77, 5])
    load(NUMBERED).execute([request])
    acknowledge(read_tickets(request))
    wait_until_sent(request, 2)
    assert [response.output_tensors[1].array.item() for response, _ in request.sender.sent] == [5, 6]
    assert [chunks for *_, chunks in read_tickets(request)] == [6, 7]


@pytest.mark.parametrize(
    ("numbers", "sent"),
    [
        ((-1,), [("INVALID_ARG", "halver: x: expected positive numbers, got -1.0")]),
        ((2, 4, np.nan), [1, ("INTERNAL", "halver: internal error (AssertionError)")]),
    ],
)
def test_an_error_ends_its_stream_alone(step, numbers, sent):
    wrong, right = make_request(*numbers), make_request(2)
    step.execute([wrong, right])
    wait_until_sent(wrong, len(sent))
    assert read_sent(wrong) == (sent, [False] * (len(sent) - 1) + [True])
    assert read_sent(right) == ([1], [True])


@pytest.mark.parametrize("chunks", [-1, 2**31 - 1, 2**63 - 1])
def test_a_ticket_with_an_impossible_number_of_chunks_is_refused(load, chunks):
    request = make_request(2, outputs=NUMBERED, ticket=[7, 77, chunks])
    load(NUMBERED).execute([request])
    wait_until_sent(request, 1)
    ((code, text),), _ = read_sent(request)
    assert (code, text) == ("INVALID_ARG", f"halver: stream_ticket: expected 0 to 2147483646 chunks, got {chunks}")


def test_one_stream_too_many_is_unavailable(step):
    first, second = make_request(2, 4, outputs=OUTPUTS), make_request(2, outputs=OUTPUTS)
    step.execute([first, second])
    wait_until_sent(second, 1)
    ((code, text),), _ = read_sent(second)
    assert code == "UNAVAILABLE" and "1 streams are open" in text


def test_a_caller_who_has_gone_receives_nothing_more(step):
    request = make_request(2, 4)
    request.sender.has_gone = True
    step.execute([request])
    wait_until_sent(request, 1)
    assert read_sent(request) == ([("CANCELLED", "halver: the request was cancelled")], [True])


def test_a_request_of_several_rows_is_refused(step):
    request = Request(["half"], x=np.ones((2, 3), np.float32))
    step.execute([request])
    wait_until_sent(request, 1)
    (error,), _ = read_sent(request)
    assert error == ("INVALID_ARG", "halver: inputs: expected 1 row, because each makes a stream, got 2")
