"""Who is told what when a request fails, by a step and by a network, on a fake of Triton's Python backend."""

from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pytest
from support.fake_python_backend import FakePythonBackend, Request, arguments

from convai.backends.runtime.failures import MAX_CHARACTERS, internal_error, mistake
from convai.backends.runtime.python_step import PythonStep
from convai.errors import InvalidArgument


@dataclass(frozen=True)
class Halver(PythonStep):
    """Refuses NaN, as a step does; trips over three numbers, as NumPy does."""

    def __call__(self, *, x: np.ndarray) -> dict[str, np.ndarray]:
        if np.isnan(x).any():
            raise InvalidArgument(f"x holds NaN, says {__file__}; allowed are finite numbers")
        if len(x) == 3:
            x = x + np.zeros(4, np.float32)
        return {"half": x / 2}


class HalvingNetwork:
    def __init__(self, file, config):
        self.step = Halver()

    def run(self, inputs):
        return {"half": np.stack([self.step(x=row)["half"] for row in inputs["x"]])}


def halving_step(folder):
    step = import_module("convai.backends.runtime.adapter").python_step(Halver)()
    step.initialize(arguments(folder, "halver", {"half": "TYPE_FP32"}))
    return step


def halving_network(folder):
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


@pytest.fixture(params=[halving_step, halving_network], ids=["step", "network"])
def model(request, backend, tmp_path):
    return request.param(tmp_path)


def ask(model, *rows):
    """The response to each row as a request of its own, all in one batch."""
    return model.execute([Request(["half"], x=np.array([row], np.float32)) for row in rows])


def test_a_numpy_error_inside_is_answered_internal_without_a_detail_and_logged_whole(model, backend):
    [response] = ask(model, [1, 2, 3])

    assert (response.error.code, response.error.text) == ("INTERNAL", "halver: internal error (ValueError)")
    [entry] = backend.log
    assert entry.startswith("halver: Traceback")
    assert "operands could not be broadcast together with shapes (3,) (4,)" in entry
    assert f'File "{__file__}"' in entry and "x = x + np.zeros(4, np.float32)" in entry


def test_a_mistake_of_the_caller_is_answered_in_its_words_and_is_no_failure_in_the_log(model, backend):
    [response] = ask(model, [np.nan])

    told = "halver: x holds NaN, says test_adapter_failures.py; allowed are finite numbers"
    assert (response.error.code, response.error.text) == ("INVALID_ARG", told)
    assert backend.log == []


def test_whoever_fails_fails_alone(model, backend):
    good, broken, mistaken, other = ask(model, [2, 4], [1, 2, 3], [np.nan, 1], [6, 8])

    assert [response.error and response.error.code for response in (good, broken, mistaken, other)] == [
        None,
        "INTERNAL",
        "INVALID_ARG",
        None,
    ]
    assert good.output_tensors[0].as_numpy().tolist() == [[1, 2]]
    assert other.output_tensors[0].as_numpy().tolist() == [[3, 4]]
    assert len(backend.log) == 1


def test_inputs_that_differ_in_their_rows_are_the_callers_mistake(backend, tmp_path):
    request = Request(["half"], x=np.zeros((2, 1), np.float32), y=np.zeros((1, 1), np.float32))
    [response] = halving_step(tmp_path).execute([request])

    assert response.error.code == "INVALID_ARG" and "{'x': 2, 'y': 1}" in response.error.text


def test_an_answer_that_cannot_be_sent_fails_its_request_alone(backend, tmp_path, monkeypatch):
    """The run went well; packing one of its answers for Triton does not."""

    class Unsendable(backend.Tensor):
        def __init__(self, name, array):
            if array[0, 0] == 1:
                raise TypeError(f"cannot send {array}")
            super().__init__(name, array)

    network = halving_network(tmp_path)
    monkeypatch.setattr(backend, "Tensor", Unsendable)
    broken, good = network.execute([Request(["half"], x=np.array([[x]], np.float32)) for x in (2, 4)])

    assert broken.error.text == "halver: internal error (TypeError)"
    assert good.error is None
    assert "cannot send" in backend.log[0]


def test_a_mistake_keeps_its_words_and_gains_the_name_of_the_step():
    error = InvalidArgument("sample_rate is 4000 Hz; allowed is 8000 to 48000 and/or less than 1/2 of it")

    assert mistake("speech_features", error) == f"speech_features: {error}"


def test_an_internal_error_tells_its_kind_alone():
    error = KeyError("/srv/models/secret")

    assert internal_error("ctc_decoder", error) == "ctc_decoder: internal error (KeyError)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot open /srv/models/1/model.onnx", "cannot open model.onnx"),
        ('File "/usr/lib/python3.11/json.py", line 3', 'File "json.py", line 3'),
        ("(/srv/models/c, 2)", "(c, 2)"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
    ],
)
def test_paths_are_cut_to_their_last_component(text, told):
    assert mistake("step", InvalidArgument(text)) == f"step: {told}"


def test_words_that_repeat_a_long_input_are_cut():
    assert len(mistake("mel_padder", InvalidArgument("x" * 10_000))) == len("mel_padder: ") + MAX_CHARACTERS
