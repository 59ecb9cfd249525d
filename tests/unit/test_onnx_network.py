"""ONNX Runtime on the CPU keeps the memory of usual runs and returns that of large ones."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from convai.backends.engines.onnxruntime.network import OnnxNetwork

MEGABYTE = 2**20
LARGE = 16 * MEGABYTE  # elements: 64 MB, and the network needs several times as much


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A network that makes several large tensors of x and sums the last."""
    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx.save(
        onnx.helper.make_model(
            onnx.parser.parse_graph(
                "g (float[B, N] x) => (float[B, M] y) {\n"
                "  a = Exp(x)\n  b = Sin(x)\n  c = Mul(a, b)\n  y = ReduceSum<keepdims=1>(c)\n}"
            ),
            opset_imports=[onnx.helper.make_opsetid("", 17)],
            ir_version=8,
        ),
        file,
    )
    return file


def load(file, kept_elements):
    parameters = {"kept_elements": {"string_value": str(kept_elements)}}
    return OnnxNetwork(file, {"name": "adder", "parameters": parameters, "output": [{"name": "y"}]})


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure_growth(file, kept_elements):
    """Bytes that a run of a large input keeps."""
    x = np.ones((1, LARGE), np.float32)
    adder = load(file, kept_elements)
    adder.run({"x": x[:, :10]})
    before = resident_bytes()
    y = adder.run({"x": x})["y"]
    np.testing.assert_allclose(y, LARGE * np.e * np.sin(1), rtol=1e-3)
    return resident_bytes() - before


def test_a_usual_run_keeps_its_memory_and_a_large_one_returns_it(file):
    assert measure_growth(file, kept_elements=LARGE) > 60 * MEGABYTE
    assert measure_growth(file, kept_elements=LARGE - 1) < 30 * MEGABYTE


def test_onnx_runtime_sends_no_usage_to_its_maker():
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"  # set before its import
