"""An ONNX file run by OpenVINO: items by themselves, nonsense refused, and a copy with halved weights for BF16."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import openvino
import pytest

from convai.backends.engines.onnxruntime.network import OnnxNetwork
from convai.backends.engines.openvino import compiled
from convai.backends.engines.openvino.network import OpenVinoNetwork
from convai.backends.engines.runs import run_requests

ROWS, POSITIONS, WIDTH = 50, 40, 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "convai" / "openvino"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Looks `ids` up, adds a position and `x`, and multiplies: y depends on every token of its own window."""
    rng = np.random.default_rng(0)
    arrays = {
        "table": rng.standard_normal((ROWS, WIDTH)),
        "positions": rng.standard_normal((POSITIONS, WIDTH)),
        "weight": rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5,
    }
    model = onnx.helper.make_model(
        onnx.parser.parse_graph(
            f"g (int64[batch, windows, tokens] ids, float[batch, windows, tokens, {WIDTH}] x)"
            f" => (float[batch, windows, tokens, {WIDTH}] y)\n"
            "<int64 zero = {0}, int64 one = {1}, int64[1] axis = {2}, int64[1] two = {2}, int64[1] three = {3}> {\n"
            "  looked_up = Gather(table, ids)\n  shape = Shape(ids)\n  length = Slice(shape, two, three)\n"
            "  count = Squeeze(length)\n  range = Range(zero, count, one)\n  placed = Gather(positions, range)\n"
            "  a = Add(looked_up, placed)\n  b = Add(a, x)\n  m = ReduceMean<keepdims=1>(b, axis)\n  c = Sub(b, m)\n"
            "  y = MatMul(c, weight)\n}"
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=8,
    )
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()
    )
    file = tmp_path_factory.mktemp("openvino") / "model.onnx"
    onnx.save(model, file)
    return file


def network(file, **parameters):
    written = {name: {"string_value": str(value)} for name, value in ({"item_axes": 2} | parameters).items()}
    return OpenVinoNetwork(file, {"name": "small", "parameters": written, "output": [{"name": "y"}]})


def inputs(batch=1, windows=1, tokens=8, seed=0):
    rng = np.random.default_rng(seed)
    shape = (batch, windows, tokens)
    return {
        "ids": rng.integers(0, ROWS, shape),
        "x": rng.standard_normal((*shape, WIDTH)).astype(np.float32),
    }


def reference(file, asked):
    return OnnxNetwork(file, {"name": "small", "parameters": {}, "output": [{"name": "y"}]}).run(asked)["y"]


@pytest.mark.parametrize(("hint", "tolerance"), [("NO", 1e-5), ("YES", 5e-2)])
def test_it_answers_as_onnx_runtime_does_within_its_precision(file, hint, tolerance):
    asked = inputs(batch=2, windows=3)
    y = network(file, HINT_BF16=hint).run(asked)["y"]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, reference(file, asked), atol=tolerance)


@pytest.mark.parametrize("hint", ["NO", "YES"])
def test_an_item_gets_the_same_bits_alone_and_in_any_company(file, hint):
    small = network(file, HINT_BF16=hint)
    asked = [inputs(1 + seed % 2, 1 + seed % 3, 8 + 8 * (seed % 2), seed) for seed in range(6)]
    together = run_requests(small.run, asked, 2**20)
    for request, answer in zip(asked, together, strict=True):
        for row, window in np.ndindex(request["ids"].shape[:2]):
            one = {name: array[row : row + 1, window : window + 1] for name, array in request.items()}
            np.testing.assert_array_equal(small.run(one)["y"][0, 0], answer["y"][row, window])


def test_an_answer_outlives_the_next_run(file):
    small = network(file)
    first = small.run(inputs(seed=1))["y"]
    copy = first.copy()
    small.run(inputs(seed=2))
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": np.full((1, 1, 8), ROWS)}, f"ids is {ROWS} to {ROWS}; allowed is 0 to {ROWS - 1}"),
        ({"ids": np.full((1, 1, 8), -1)}, f"allowed is 0 to {ROWS - 1}"),
        (inputs(tokens=POSITIONS + 1), f"it has no more than {POSITIONS} positions"),
        ({"ids": np.zeros((1, 1, 7), np.int64)}, r"the sizes ids \[1, 1, 7\], x \[1, 1, 8, 32\] do not fit together"),
        ({"ids": np.zeros((2, 1, 8), np.int64)}, "agree in the first 2 of their sizes"),
        (inputs(windows=0), "allowed are non-empty ones"),
    ],
)
def test_what_openvino_would_answer_with_nonsense_is_refused(file, change, words):
    with pytest.raises(ValueError, match=f"the network refuses its inputs: .*{words}"):
        network(file, HINT_BF16="YES").run(inputs() | change)


def test_a_refused_request_does_not_disturb_the_next(file):
    small = network(file)
    before = small.run(inputs())["y"]
    with pytest.raises(ValueError, match="do not fit together"):
        small.run(inputs() | {"ids": np.zeros((1, 1, 7), np.int64)})
    np.testing.assert_array_equal(small.run(inputs())["y"], before)


def test_sizes_are_warmed_up_and_the_log_is_told_what_it_runs_on(file, capsys):
    sizes = {"ids": [[8], [16]], "x": [[8, WIDTH], [16, WIDTH]]}
    network(file, warm_up=json.dumps(sizes), INFERENCE_NUM_THREADS=2)
    version = openvino.get_version().partition("-")[0]
    assert f"network small: OpenVINO {version}, FP32, 2 threads; 2 sizes warmed up in " in capsys.readouterr().out


def test_memory_beyond_that_of_usual_items_is_given_back(file, monkeypatch):
    given_back = []
    monkeypatch.setattr(compiled.Compiled, "give_back_memory", lambda network: given_back.append(network))
    small = network(file, warm_up=json.dumps({"ids": [[16]], "x": [[16, WIDTH]]}))
    small.run(inputs(windows=5, tokens=16))
    assert not given_back
    small.run(inputs(tokens=17))
    assert given_back == [small.network]


def test_a_processor_without_bf16_computes_in_fp32(file, monkeypatch, capsys):
    monkeypatch.setattr(compiled, "has_bf16", lambda core: False)
    y = network(file, HINT_BF16="YES").run(inputs())["y"]
    np.testing.assert_array_equal(y, network(file, HINT_BF16="NO").run(inputs())["y"])
    assert "FP32" in capsys.readouterr().out


def test_a_copy_with_halved_weights_is_made_once_for_every_state_of_a_file(file, tmp_path, cache):
    own = tmp_path / "model.onnx"
    own.write_bytes(file.read_bytes())
    core = openvino.Core()
    first = compiled.halved(core, own)
    assert first.is_relative_to(cache)
    assert first.with_suffix(".bin").stat().st_size < 0.6 * 4 * WIDTH * (ROWS + POSITIONS + WIDTH)
    made = first.stat().st_mtime_ns
    assert compiled.halved(core, own) == first
    assert first.stat().st_mtime_ns == made
    os.utime(own, ns=(0, 0))
    assert compiled.halved(core, own) != first
    assert sorted(path.name for path in cache.iterdir()) == sorted({first.parent.name, compiled.name_of_copy(own)})


def test_where_no_copy_can_be_kept_the_file_itself_is_run(file, cache, capsys):
    cache.parent.mkdir(parents=True)
    cache.touch()  # no folder can be made there
    assert compiled.halved(openvino.Core(), file) == file
    assert f"is not kept in {cache}" in capsys.readouterr().out


def test_importing_the_engine_reports_nothing_to_anybody():
    program = (
        "import sys, convai.backends.engines.openvino.compiled\n"
        "assert not [name for name in sys.modules if 'telemetry' in name], sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
