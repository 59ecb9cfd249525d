"""Weights of several trainings become their mean."""

import pytest
import torch

from convai.networks.average import average, main, metadata_of
from convai.networks.compact import load, save


def weights(value, steps=0):
    return {"conv.weight": torch.full((2, 3), value), "norm.num_batches_tracked": torch.tensor(steps)}


def test_weights_become_their_mean_and_counts_stay_the_firsts(tmp_path):
    for name, value in {"a": 1.0, "b": 3.0, "c": 5.0}.items():
        save(tmp_path / name, weights(value, steps=int(value)), metadata={"config": "mini"})
    assert main([*(str(tmp_path / name) for name in "abc"), "--out", str(tmp_path / "mean")]) == 0
    mean = load(tmp_path / "mean")
    assert torch.equal(mean["conv.weight"], torch.full((2, 3), 3.0))
    assert mean["norm.num_batches_tracked"] == 1
    assert metadata_of(tmp_path / "mean") == {"config": "mini"}


@pytest.mark.parametrize("other", [{"conv.weight": torch.zeros(2, 3)}, weights(0.0) | {"conv.weight": torch.zeros(3)}])
def test_weights_of_different_networks_are_refused(other):
    with pytest.raises(ValueError, match="must have the same tensors; (conv.weight|norm.num_batches_tracked) differ"):
        average([weights(1.0), other])


def test_a_missing_file_is_a_clear_error(tmp_path, capsys):
    assert main([str(tmp_path / "none.safetensors"), "--out", str(tmp_path / "mean")]) == 1
    assert "none.safetensors" in capsys.readouterr().err
