import numpy as np
import pytest

from convai.backends.engines.runs import run_requests

NO_LIMIT = 10**9


class Doubler:
    """A network that doubles x, refuses NaN, and records the number of rows of each run."""

    def __init__(self):
        self.runs = []

    def __call__(self, inputs):
        self.runs.append(len(inputs["x"]))
        if np.isnan(inputs["x"]).any():
            raise RuntimeError("x holds NaN")
        return {"y": 2 * inputs["x"]}


def request(rows, columns, value=1.0):
    return {"x": np.full((rows, columns), value, np.float32)}


def test_requests_of_equal_shape_share_one_run():
    network = Doubler()
    answers = run_requests(network, [request(1, 3, 1), request(2, 3, 5), request(1, 3, 7)], NO_LIMIT)

    assert network.runs == [4]
    assert [answer["y"].tolist() for answer in answers] == [[[2] * 3], [[10] * 3] * 2, [[14] * 3]]


def test_requests_of_different_shape_have_runs_of_their_own_and_keep_their_order():
    network = Doubler()
    answers = run_requests(network, [request(1, 3, 1), request(1, 5, 2), request(1, 3, 3)], NO_LIMIT)

    assert sorted(network.runs) == [1, 2]
    assert [answer["y"][0, 0] for answer in answers] == [2, 4, 6]


def test_only_the_request_that_causes_the_failure_fails():
    network = Doubler()
    answers = run_requests(network, [request(1, 3, 1), request(1, 3, np.nan), request(1, 3, 3)], NO_LIMIT)

    assert answers[0]["y"][0, 0] == 2
    assert isinstance(answers[1], RuntimeError)
    assert answers[2]["y"][0, 0] == 6
    alone = Doubler()
    run_requests(alone, [request(1, 3, np.nan)], NO_LIMIT)
    assert alone.runs == [1]


@pytest.mark.parametrize(("limit", "runs"), [(12, [4, 1]), (11, [3, 2]), (3, [1] * 5), (1, [1] * 5)])
def test_a_run_exceeds_the_limit_of_elements_only_for_a_single_request(limit, runs):
    network = Doubler()
    answers = run_requests(network, [request(1, 3) for _ in range(5)], limit)

    assert network.runs == runs
    assert len(answers) == 5
