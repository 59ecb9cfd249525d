import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from convai.benchmarks.speed.chaos_load import Asked, Load, Row, running, table
from convai.benchmarks.speed.chaos_server import write_subset
from convai.client import ConvaiClient

LOAD = Load(in_flight=2, requests=20, timeout_seconds=5.0)


def answering(text):
    return FakeTriton(
        {
            "answer": np.array([[text.encode()]], np.object_),
            "answer_score": np.array([[0.9]], np.float32),
            "answer_span": np.array([[0, 4]], np.int32),
        }
    )


def row_of(fake):
    with serving(fake) as address, ConvaiClient(address) as client, running(client, {"a context": "rain"}, LOAD) as log:
        pass
    return Row("a fault", tuple(log.asked), usual_seconds=1.0, left_behind=0, note="")


def test_a_load_sends_what_was_asked_for_even_if_the_fault_is_short():
    row = row_of(answering("rain"))

    assert len(row.asked) >= 20
    assert (row.lost, row.wrong, row.is_harmless) == (0, 0, True)


def test_a_wrong_answer_is_counted():
    row = row_of(answering("snow"))

    assert row.wrong == len(row.asked)
    assert not row.is_harmless


def test_a_lost_request_is_counted_and_its_error_is_told():
    fake = answering("rain")
    fake.error = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    row = row_of(fake)

    assert row.lost == len(row.asked)
    assert "Exceeds maximum queue size" in table([row])


def test_what_is_left_behind_is_no_harmless_thing():
    asked = (Asked(0.0, 3.5), Asked(1.0, 0.5))
    row = Row("one killed", asked, usual_seconds=1.0, left_behind=4, note="a remark")

    assert not row.is_harmless
    assert row.cells() == ["one killed", "2", "0", "0", "+2.5 s", "4"]
    assert "one killed: a remark" in table([row])


def test_nothing_in_flight_is_refused():
    with pytest.raises(ValueError, match="in_flight is 0; it must be at least 1"):
        Load(in_flight=0, requests=1, timeout_seconds=1.0)


def test_a_subset_of_a_repository_holds_one_ensemble_and_its_steps(tmp_path):
    (tmp_path / "subset").mkdir()
    write_subset(tmp_path / "whole", "question_answering", tmp_path / "subset")

    names = {path.name for path in (tmp_path / "subset").iterdir()}
    assert names == {"question_answering", "qa_tokenizer", "bert", "answer_extractor"}
