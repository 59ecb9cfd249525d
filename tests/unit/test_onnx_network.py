"""An ONNX file run on the CPU keeps the memory of usual runs, and gives back that of large ones."""

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
    """Takes x apart into large tensors and adds them up again."""
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


def network(file, kept_elements):
    parameters = {"kept_elements": {"string_value": str(kept_elements)}}
    return OnnxNetwork(file, {"name": "adder", "parameters": parameters, "output": [{"name": "y"}]})


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def growth(file, kept_elements):
    """Bytes that a run of a large input leaves behind."""
    x = np.ones((1, LARGE), np.float32)
    adder = network(file, kept_elements)
    adder.run({"x": x[:, :10]})
    before = resident_bytes()
    y = adder.run({"x": x})["y"]
    np.testing.assert_allclose(y, LARGE * np.e * np.sin(1), rtol=1e-3)
    return resident_bytes() - before


def test_a_usual_run_leaves_its_memory_to_the_next_and_a_large_one_gives_it_back(file):
    assert growth(file, kept_elements=LARGE) > 60 * MEGABYTE
    assert growth(file, kept_elements=LARGE - 1) < 30 * MEGABYTE


def test_kept_elements_that_are_no_number_are_refused(file):
    with pytest.raises(ValueError, match="adder: parameter kept_elements is 'all'; allowed are whole numbers from 0"):
        network(file, "all")
