import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from benchmarks.speed.chaos_load import Attempt, ChaosLoad, FaultResult, Finding, Log, format_results, keep_load
from convai.client import Answer, ConvaiClient

LOAD = ChaosLoad(in_flight=2, requests=20, timeout_seconds=5.0)
ATTEMPTS = [Attempt(0.0, 3.5), Attempt(1.0, 0.5)]


def answering(text):
    return FakeTriton(
        {
            "answer": np.array([[text.encode()]], np.object_),
            "answer_score": np.array([[0.9]], np.float32),
            "answer_span": np.array([[0, 4]], np.int32),
            "sentence": np.array([[b"Rain."]], np.object_),
        }
    )


def run_fault(fake):
    expected = [
        (lambda client: client.answer_text("a question", "a context"), Answer(answer="rain", answer_span=(0, 4)))
    ]
    with serving(fake) as address, ConvaiClient(address) as client, keep_load(client, expected, LOAD) as log:
        pass
    return FaultResult("a fault", log, left_behind=0, finding=Finding())


def test_the_load_reaches_its_number_of_requests_even_if_the_fault_is_short():
    result = run_fault(answering("rain"))
    assert len(result.log.attempts) >= 20
    assert (result.lost, result.wrong, result.is_harmless) == (0, 0, True)


def test_a_wrong_answer_is_counted():
    result = run_fault(answering("snow"))
    assert result.wrong == len(result.log.attempts)
    assert "expected 'rain', got 'snow'" in format_results([result])
    assert not result.is_harmless


def test_a_lost_request_is_counted_and_its_error_is_reported():
    fake = answering("rain")
    fake.error = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    result = run_fault(fake)
    assert result.lost == len(result.log.attempts)
    assert "Exceeds maximum queue size" in format_results([result])


@pytest.mark.parametrize(
    ("left_behind", "finding", "limit_seconds", "is_harmless"),
    [
        (0, Finding(), 3.0, True),
        (4, Finding(), 3.0, False),
        (0, Finding(), 2.0, False),
        (0, Finding("the new server got no request", is_good=False), 3.0, False),
    ],
)
def test_a_fault_is_harmless_if_nothing_is_left_in_time_and_as_required(
    left_behind, finding, limit_seconds, is_harmless
):
    result = FaultResult("one killed", Log(1.0, ATTEMPTS), left_behind, finding, limit_seconds)
    assert result.is_harmless == is_harmless
    verdict = "met" if is_harmless else "missed"
    assert result.format_cells() == ["one killed", "2", "0", "0", "+2.5 s", str(left_behind), verdict]
    assert finding.text in format_results([result])
