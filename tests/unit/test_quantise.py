import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from convai.networks.export.quantise import main
from convai.networks.export.quiet import quiet_exporter


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(128, 256), nn.Linear(256, 64)

    def forward(self, rows):
        return self.last(torch.relu(self.first(rows)))


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """The same network as it was exported, and quantised."""
    folder = tmp_path_factory.mktemp("quantise")
    torch.manual_seed(0)
    exact, small = folder / "exact.onnx", folder / "small.onnx"
    rows = torch.zeros(2, 3, 128)
    with quiet_exporter():
        program = torch.onnx.export(
            TwoLayers().eval(), (rows,), input_names=["rows"], dynamic_shapes=({0: "batch"},), dynamo=True
        )
    onnx.save(program.model_proto, exact)
    assert main([str(exact), "--out", str(small)]) == 0
    assert small.stat().st_size < 0.4 * exact.stat().st_size
    return [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (exact, small)]


def run(session, rows: np.ndarray) -> np.ndarray:
    return session.run(None, {"rows": rows})[0]


def test_quantised_outputs_stay_within_two_percent(sessions):
    rows = np.random.default_rng(0).normal(size=(16, 3, 128)).astype(np.float32)
    expected, got = (run(session, rows) for session in sessions)
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()
    assert np.abs(got - expected).max() > 0


def test_a_row_is_the_same_beside_a_neighbour_a_thousand_times_larger(sessions):
    rows = np.random.default_rng(0).normal(size=(2, 3, 128)).astype(np.float32)
    rows[1] *= 1000
    assert np.allclose(run(sessions[1], rows)[0], run(sessions[1], rows[:1])[0], atol=1e-6)
