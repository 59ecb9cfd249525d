"""Which error a caller receives from a step and from a network, on a fake of Triton's Python backend."""

from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pytest
from support.fake_python_backend import FakePythonBackend, Request, arguments

from convai.backends.runtime.failures import MAX_CHARACTERS, describe_invalid_argument
from convai.backends.runtime.python_step import PythonStep
from convai.errors import InvalidArgument


@dataclass(frozen=True)
class Halver(PythonStep):
    """Refuses NaN; fails in NumPy for three numbers."""

    def __call__(self, *, x: np.ndarray) -> dict[str, np.ndarray]:
        if np.isnan(x).any():
            raise InvalidArgument(f"x: expected finite numbers in {__file__}, got NaN")
        if len(x) == 3:
            x = x + np.zeros(4, np.float32)
        return {"half": x / 2}


class HalvingNetwork:
    def __init__(self, file, config):
        self.step = Halver()

    def run(self, inputs):
        return {"half": np.stack([self.step(x=row)["half"] for row in inputs["x"]])}


def load_step(folder):
    step = import_module("convai.backends.runtime.adapter").python_step(Halver)()
    step.initialize(arguments(folder, "halver", {"half": "TYPE_FP32"}))
    return step


def load_network(folder):
    (folder / "1").mkdir()
    (folder / "1" / "model.half").touch()
    network = import_module("convai.backends.engines.engine").network_model(HalvingNetwork)()
    network.initialize(arguments(folder, "halver", {"half": "TYPE_FP32"}, default_model_filename="model.half"))
    return network


@pytest.fixture
def backend(monkeypatch):
    backend = FakePythonBackend()
    backend.install(monkeypatch)
    return backend


@pytest.fixture(params=[load_step, load_network], ids=["step", "network"])
def model(request, backend, tmp_path):
    return request.param(tmp_path)


def ask(model, *rows):
    """The response to each row as a request of its own, all in one batch."""
    return model.execute([Request(["half"], x=np.array([row], np.float32)) for row in rows])


def test_an_error_of_ours_is_answered_internal_without_a_detail_and_logged_in_full(model, backend):
    [response] = ask(model, [1, 2, 3])

    assert (response.error.code, response.error.text) == ("INTERNAL", "halver: internal error (ValueError)")
    [entry] = backend.log
    assert entry.startswith("halver: Traceback")
    assert "operands could not be broadcast together with shapes (3,) (4,)" in entry
    assert f'File "{__file__}"' in entry


def test_an_invalid_argument_is_answered_in_its_words_without_paths_and_not_logged(model, backend):
    [response] = ask(model, [np.nan])

    expected = "halver: x: expected finite numbers in test_adapter_failures.py, got NaN"
    assert (response.error.code, response.error.text) == ("INVALID_ARG", expected)
    assert backend.log == []


def test_a_request_that_fails_fails_alone(model, backend):
    good, broken, invalid, other = ask(model, [2, 4], [1, 2, 3], [np.nan, 1], [6, 8])

    assert [broken.error.code, invalid.error.code] == ["INTERNAL", "INVALID_ARG"]
    assert good.output_tensors[0].as_numpy().tolist() == [[1, 2]]
    assert other.output_tensors[0].as_numpy().tolist() == [[3, 4]]
    assert len(backend.log) == 1


@dataclass(frozen=True)
class Sorter(Halver):
    """Leaves `sorted` out unless it is requested."""

    outputs_on_request = ("sorted",)

    def __call__(self, *, x: np.ndarray, requested: frozenset[str]) -> dict[str, np.ndarray]:
        return super().__call__(x=x) | ({"sorted": np.sort(x)} if "sorted" in requested else {})


@pytest.mark.parametrize("requested", [["half"], ["sorted"], ["half", "sorted"]])
def test_a_step_may_leave_out_what_was_not_requested(backend, tmp_path, requested):
    step = import_module("convai.backends.runtime.adapter").python_step(Sorter)()
    step.initialize(arguments(tmp_path, "sorter", {"half": "TYPE_FP32", "sorted": "TYPE_FP32"}))
    [response] = step.execute([Request(requested, x=np.array([[4, 2]], np.float32))])
    expected = {"half": [[2, 1]], "sorted": [[2, 4]]}
    assert response.error is None
    outputs = {tensor.name(): tensor.as_numpy().tolist() for tensor in response.output_tensors}
    assert outputs == {name: expected[name] for name in requested}


def test_an_output_of_another_dtype_than_the_configuration_is_an_error_of_ours(backend, tmp_path):
    [response] = load_step(tmp_path).execute([Request(["half"], x=np.ones((1, 2)))])

    assert response.error.code == "INTERNAL"
    assert "output half: expected dtype float32, got float64" in backend.log[0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open /srv/models/1/model.onnx", "cannot open model.onnx"),
        ('File "/usr/lib/python3.11/json.py", line 3', 'File "json.py", line 3'),
        ("(/srv/models/c, 2)", "(c, 2)"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("8000 and/or less than 1/2 of it", "8000 and/or less than 1/2 of it"),
    ],
)
def test_paths_are_cut_to_their_last_component(text, shown):
    assert describe_invalid_argument("step", InvalidArgument(text)) == f"step: {shown}"


def test_a_message_that_repeats_a_long_input_is_cut():
    message = describe_invalid_argument("step", InvalidArgument("x" * 10_000))
    assert len(message) == len("step: ") + MAX_CHARACTERS
