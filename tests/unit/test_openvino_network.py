"""OpenVINO on the CPU: items run one by one, invalid inputs are refused, BF16 uses an FP16 copy of the weights."""

import json
import os

import numpy as np
import onnx
import openvino
import pytest

from convai.backends.engines.onnxruntime.network import OnnxNetwork
from convai.backends.engines.openvino import compiled, network
from convai.backends.engines.openvino.network import OpenVinoNetwork
from convai.backends.engines.runs import run_requests
from convai.errors import InvalidArgument

ROWS, POSITIONS, WIDTH = 50, 40, 32


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "convai" / "openvino"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Looks `ids` up, adds a position and `x`, and multiplies; y depends on every token of its window."""
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


def load(file, **parameters):
    written = {name: {"string_value": str(value)} for name, value in ({"item_axes": 2} | parameters).items()}
    return OpenVinoNetwork(file, {"name": "small", "parameters": written, "output": [{"name": "y"}]})


def make_inputs(batch=1, windows=1, tokens=8, seed=0):
    rng = np.random.default_rng(seed)
    shape = (batch, windows, tokens)
    return {
        "ids": rng.integers(0, ROWS, shape),
        "x": rng.standard_normal((*shape, WIDTH)).astype(np.float32),
    }


def run_reference(file, inputs):
    return OnnxNetwork(file, {"name": "small", "parameters": {}, "output": [{"name": "y"}]}).run(inputs)["y"]


@pytest.mark.parametrize(("hint", "tolerance"), [("NO", 1e-5), ("YES", 5e-2)])
def test_it_answers_as_onnx_runtime_does_within_its_precision(file, hint, tolerance):
    inputs = make_inputs(batch=2, windows=3)
    y = load(file, HINT_BF16=hint).run(inputs)["y"]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, run_reference(file, inputs), atol=tolerance)


@pytest.mark.parametrize("hint", ["NO", "YES"])
def test_an_item_has_the_same_bits_alone_and_in_a_batch(file, hint):
    small = load(file, HINT_BF16=hint)
    requests = [make_inputs(1 + seed % 2, 1 + seed % 3, 8 + 8 * (seed % 2), seed) for seed in range(6)]
    batched = run_requests(small.run, requests, 2**20)
    for request, answer in zip(requests, batched, strict=True):
        for row, window in np.ndindex(request["ids"].shape[:2]):
            one = {name: array[row : row + 1, window : window + 1] for name, array in request.items()}
            np.testing.assert_array_equal(small.run(one)["y"][0, 0], answer["y"][row, window])


def test_an_output_is_not_overwritten_by_the_next_run(file):
    small = load(file)
    first = small.run(make_inputs(seed=1))["y"]
    copy = first.copy()
    small.run(make_inputs(seed=2))
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": np.full((1, 1, 8), ROWS)}, f"ids: expected 0 to {ROWS - 1}, got {ROWS} to {ROWS}"),
        ({"ids": np.full((1, 1, 8), -1)}, f"ids: expected 0 to {ROWS - 1}, got -1 to -1"),
        (make_inputs(tokens=POSITIONS + 1), f"expected at most {POSITIONS} positions"),
        ({"ids": np.zeros((1, 1, 7), np.int64)}, r"the shapes ids \[1, 1, 7\], x \[1, 1, 8, 32\] do not fit together"),
        ({"ids": np.zeros((2, 1, 8), np.int64)}, "agree in their first 2 sizes"),
        (make_inputs(windows=0), "expected non-empty inputs"),
    ],
)
def test_inputs_for_which_openvino_computes_garbage_are_refused_and_the_next_is_not_affected(file, change, words):
    small = load(file, HINT_BF16="YES")
    before = small.run(make_inputs())["y"]
    with pytest.raises(InvalidArgument, match=f"the network refuses its inputs: .*{words}"):
        small.run(make_inputs() | change)
    np.testing.assert_array_equal(small.run(make_inputs())["y"], before)


def test_sizes_are_warmed_up_and_the_log_names_precision_and_threads(file, capsys):
    sizes = {"ids": [[8], [16]], "x": [[8, WIDTH], [16, WIDTH]]}
    load(file, warm_up=json.dumps(sizes), INFERENCE_NUM_THREADS=2)
    version = openvino.get_version().partition("-")[0]
    assert f"network small: OpenVINO {version}, FP32, 2 threads; 2 sizes warmed up in " in capsys.readouterr().out


def test_a_processor_without_bf16_computes_in_fp32(file, monkeypatch, capsys):
    monkeypatch.setattr(compiled, "has_bf16", lambda core: False)
    y = load(file, HINT_BF16="YES").run(make_inputs())["y"]
    np.testing.assert_array_equal(y, load(file, HINT_BF16="NO").run(make_inputs())["y"])
    assert "FP32" in capsys.readouterr().out


def test_an_fp16_copy_is_written_once_for_every_version_of_a_file(file, tmp_path, cache):
    own = tmp_path / "model.onnx"
    own.write_bytes(file.read_bytes())
    core = openvino.Core()
    first = compiled.cache_fp16_copy(core, own)
    assert first.is_relative_to(cache)
    assert first.with_suffix(".bin").stat().st_size < 0.6 * 4 * WIDTH * (ROWS + POSITIONS + WIDTH)
    made = first.stat().st_mtime_ns
    assert compiled.cache_fp16_copy(core, own) == first
    assert first.stat().st_mtime_ns == made
    os.utime(own, ns=(0, 0))
    assert compiled.cache_fp16_copy(core, own) != first
    assert sorted(path.name for path in cache.iterdir()) == sorted({first.parent.name, compiled.make_copy_name(own)})


def test_without_a_writable_cache_the_file_itself_is_used(file, cache, capsys):
    cache.parent.mkdir(parents=True)
    cache.touch()  # a file where the folder should be
    assert compiled.cache_fp16_copy(openvino.Core(), file) == file
    assert f"cannot be cached in {cache}" in capsys.readouterr().out


def test_the_network_itself_is_warmed_up_even_if_cores_are_busy(file, monkeypatch):
    monkeypatch.setattr(network, "count_idle_cores", lambda most: 1)
    sizes = {"ids": [[8]], "x": [[8, WIDTH]]}
    assert load(file, warm_up=json.dumps(sizes), INFERENCE_NUM_THREADS=2).single_threaded is None


def test_a_run_on_one_thread_gives_the_same_result_to_the_bit(file, monkeypatch):
    loaded, inputs = load(file, INFERENCE_NUM_THREADS=2), make_inputs(windows=2, tokens=POSITIONS)
    results = []
    for idle_cores in (2, 1):
        monkeypatch.setattr(network, "count_idle_cores", lambda most, idle=idle_cores: idle)
        assert loaded.choose_network().threads == idle_cores
        results.append(loaded.run(inputs)["y"])
    np.testing.assert_array_equal(*results)


def test_a_short_gap_between_requests_is_no_time_for_several_threads(file, monkeypatch):
    loaded, threads = load(file, INFERENCE_NUM_THREADS=2), []
    for idle_cores, quiet_seconds in ((2, 1000), (1, 1000), (2, 1000), (2, 0)):
        monkeypatch.setattr(network, "count_idle_cores", lambda most, idle=idle_cores: idle)
        monkeypatch.setattr(network, "QUIET_SECONDS", quiet_seconds)
        threads.append(loaded.choose_network().threads)
    assert threads == [2, 1, 1, 2]
