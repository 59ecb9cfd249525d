import numpy as np
import pytest
import tritonclient.grpc as triton
from support.tiny_repository import write_repository
from support.triton_requests import infer, infer_batched, infer_together

from convai.backends.management.launcher import Server


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return write_repository(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def server(repository):
    with Server(repository) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(server.grpc_address) as client:
        yield client


def floats(*values):
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("model", "inputs", "outputs"),
    [
        ("chain", {"x": floats(2, 4), "note": b""}, {"half": [[2.5, 5]]}),  # a Python step and a network
        ("halver", {"amplified": floats(2, 4, 6)}, {"half__0": [[1, 2, 3]], "length__1": [[3]]}),
        ("halver", {"amplified": np.zeros((1, 0), np.float32)}, {"half__0": [[]], "length__1": [[0]]}),
        ("lookup", {"index": np.array([1, 2, 0])}, {"value": [[10, 20, 0]]}),
    ],
)
def test_steps_networks_and_ensembles_answer(client, model, inputs, outputs):
    assert {name: array.tolist() for name, array in infer(client, model, **inputs).items()} == outputs


def test_denormal_numbers_are_flushed_to_zero(client):
    assert infer(client, "lookup", index=np.array([3]))["value"] == 0
    assert infer(client, "halver", amplified=floats(2e-39))["half__0"] == 0


def test_request_parameters_reach_the_step(client):
    assert infer(client, "amplifier", x=floats(1), note=b"", parameters={"seed": 7})["amplified"] == 9.5


def test_requests_of_different_length_share_a_batch_and_an_invalid_one_fails_alone(client):
    requests = [{"x": np.full(length, length, np.float32), "note": b""} for length in range(1, 7)]
    requests[2]["x"][0] = np.nan
    requests[4]["note"] = b"\xff"
    answers = infer_batched(client, "amplifier", requests, min_batch_size=3)

    assert "INVALID_ARGUMENT] amplifier: x: expected finite numbers, got NaN" in str(answers[2])
    assert "INVALID_ARGUMENT] amplifier: note: expected UTF-8, got byte 0xff at position 0" in str(answers[4])
    for index in (0, 1, 3, 5):
        assert answers[index]["amplified"].tolist() == [[2.5 * (index + 1)] * (index + 1)]


@pytest.mark.parametrize(
    ("model", "good", "bad"),
    [
        ("lookup", {"index": np.array([1, 2])}, {"index": np.array([1, 99])}),
        ("halver", {"amplified": floats(2, 4)}, {"amplified": floats(2, 1e9)}),
    ],
)
def test_a_network_fails_only_the_invalid_request_of_a_batch(client, model, good, bad):
    answers = infer_batched(client, model, [good, good, bad, good, good], min_batch_size=3)

    assert f"INVALID_ARGUMENT] {model}: the network refuses its inputs" in str(answers[2])
    assert sum(isinstance(answer, dict) for answer in answers) == 4


def test_a_bug_in_a_step_fails_one_request_with_its_class_and_logs_the_traceback(client, server):
    requests = [{"x": floats(1, 2), "note": note} for note in (b"", b"broadcast", b"", b"")]
    answers = infer_together(client, "amplifier", requests)

    assert "INTERNAL] amplifier: internal error (ValueError)" in str(answers[1])
    assert "broadcast" not in str(answers[1])
    assert [answers[index]["amplified"].tolist() for index in (0, 2, 3)] == [[[2.5, 5]]] * 3
    log = server.log_file.read_text()
    assert "amplifier: Traceback" in log
    assert "ValueError: operands could not be broadcast together with shapes (2,) (3,)" in log
