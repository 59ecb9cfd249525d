"""What a decoupled step sends to whom, on a fake of Triton's Python backend."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pytest
from support.fake_python_backend import FakePythonBackend, Request, arguments

from convai.backends.runtime.pacing import tell_done
from convai.backends.runtime.python_step import StreamingStep
from convai.description.pipeline import CHUNK_INDEX, STREAM_TICKET
from convai.errors import InvalidArgument

OUTPUTS = {"half": "TYPE_FP32", STREAM_TICKET: "TYPE_INT64"}
NUMBERED = {"half": "TYPE_FP32", CHUNK_INDEX: "TYPE_INT32", STREAM_TICKET: "TYPE_INT64"}


@dataclass(frozen=True)
class Halver(StreamingStep):
    """Sends one number after the other, halved; refuses a negative one, and trips over NaN."""

    def __call__(self, *, x: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        for number in x:
            if number < 0:
                raise InvalidArgument(f"x holds {number}; allowed are positive numbers")
            assert not np.isnan(number)
            yield {"half": np.array([number / 2], np.float32)}


@pytest.fixture
def backend(monkeypatch):
    backend = FakePythonBackend()
    backend.install(monkeypatch)
    return backend


@pytest.fixture
def step(backend, tmp_path):
    model = started(tmp_path, OUTPUTS)
    yield model
    model.finalize()


@pytest.fixture
def numbering(backend, tmp_path):
    """One whose responses are the chunks that a caller gets."""
    model = started(tmp_path, NUMBERED)
    yield model
    model.finalize()


def started(folder, outputs):
    model = import_module("convai.backends.runtime.stream_adapter").streaming_step(Halver)()
    model.initialize(arguments(folder, "halver", outputs, parameters={"max_streams": {"string_value": "1"}}))
    return model


def request(*numbers, outputs=("half",), ticket=None):
    given = {} if ticket is None else {STREAM_TICKET: np.array([ticket], np.int64)}
    return Request(list(outputs), x=np.array([numbers], np.float32), **given)


def wait_until_sent(request, count):
    deadline = time.monotonic() + 10
    while len(request.sender.sent) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def sent(request):
    """The numbers that were sent, an error as its code and text, and which of all was the last."""
    responses = [response for response, _ in request.sender.sent]
    told = [
        (response.error.code, response.error.text) if response.error else response.output_tensors[0].array.item()
        for response in responses
    ]
    return told, [is_last for _, is_last in request.sender.sent]


def tickets(request):
    return [
        tensor.array[0].tolist()
        for response, _ in request.sender.sent
        for tensor in response.output_tensors
        if tensor.name() == STREAM_TICKET
    ]


def test_whoever_takes_no_ticket_gets_everything_at_once(step):
    asked = request(2, 4, 6)
    assert step.execute([asked]) is None
    assert sent(asked) == ([1, 2, 3], [False, False, True])


def test_whoever_takes_tickets_gets_one_response_for_each_that_it_returns(step):
    asked = request(2, 4, 6, outputs=OUTPUTS)
    step.execute([asked])
    for num_sent in (1, 2):
        assert len(asked.sender.sent) == num_sent
        tell_done(tickets(asked)[-1:])
        wait_until_sent(asked, num_sent + 1)
    assert sent(asked) == ([1, 2, 3], [False, False, True])
    assert len({ticket for ticket, _ in tickets(asked)}) == 1


def test_the_ticket_of_a_step_before_goes_with_the_last_response(step):
    asked = request(2, 4, outputs=OUTPUTS, ticket=[77, 5])
    step.execute([asked])
    own, _ = tickets(asked)[0]
    tell_done([[own, 6]])
    wait_until_sent(asked, 2)
    assert [ticket for ticket, _ in tickets(asked)] == [own, 77]


def test_chunks_are_numbered_on_from_those_that_the_stream_has_had(numbering):
    asked = request(2, 4, outputs=NUMBERED, ticket=[77, 5])
    numbering.execute([asked])
    tell_done(tickets(asked))
    wait_until_sent(asked, 2)
    assert [response.output_tensors[1].array.item() for response, _ in asked.sender.sent] == [5, 6]
    assert [chunks for _, chunks in tickets(asked)] == [6, 7]


def test_a_request_that_is_refused_disturbs_no_other(step):
    wrong, right = request(-1), request(2)
    step.execute([wrong, right])
    wait_until_sent(wrong, 1)
    assert sent(wrong) == ([("INVALID_ARG", "halver: x holds -1.0; allowed are positive numbers")], [True])
    assert sent(right) == ([1], [True])


def test_an_error_of_ours_ends_the_stream_and_is_told_by_its_kind_alone(step, backend):
    asked = request(2, 4, np.nan)
    step.execute([asked])
    wait_until_sent(asked, 2)
    assert sent(asked) == ([1, ("INTERNAL", "halver: internal error (AssertionError)")], [False, True])
    assert "Traceback" in backend.log[0]


def test_one_stream_too_many_is_told_to_come_back(step):
    first, second = request(2, 4, outputs=OUTPUTS), request(2, outputs=OUTPUTS)
    step.execute([first, second])
    wait_until_sent(second, 1)
    assert sent(second)[0][0][0] == "UNAVAILABLE"
    assert "1 streams" in sent(second)[0][0][1]


def test_a_caller_who_has_gone_gets_nothing_more(step):
    asked = request(2, 4)
    asked.sender.has_gone = True
    step.execute([asked])
    wait_until_sent(asked, 1)
    assert sent(asked) == ([("CANCELLED", "halver: the request was cancelled")], [True])


def test_a_request_of_several_rows_is_refused(step):
    asked = Request(["half"], x=np.ones((2, 3), np.float32))
    step.execute([asked])
    wait_until_sent(asked, 1)
    assert sent(asked)[0] == [
        ("INVALID_ARG", "halver: got a request of 2 rows; allowed is 1, because each makes a stream")
    ]
