import pytest
import torch
from safetensors.torch import save_file

from convai.errors import InvalidArgument
from convai.networks.checkpoints.quantised import as_stored, load, save


def make_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "table.weight": torch.randn(50, 16, generator=generator),
        "conv.weight": torch.randn(8, 4, 3, generator=generator),
        "conv.bias": torch.randn(8, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
    }


def test_matrices_come_back_within_half_a_step_and_the_rest_as_fp16(tmp_path):
    weights = make_weights()
    save(tmp_path / "w.safetensors", weights, int8=["table.weight", "conv.weight"])
    loaded = load(tmp_path / "w.safetensors")
    assert loaded.keys() == weights.keys()
    for name in ("table.weight", "conv.weight"):
        step = weights[name].flatten(1).abs().amax(dim=1) / 127
        worst = (loaded[name] - weights[name]).flatten(1).abs().amax(dim=1)
        assert (worst <= 0.6 * step).all()  # half a step, and the rounding of the scale
    assert torch.equal(loaded["conv.bias"], weights["conv.bias"].half().float())
    assert loaded["norm.num_batches_tracked"] == 7


def test_a_matrix_as_stored_equals_the_loaded_one_and_has_the_gradient_of_the_matrix(tmp_path):
    table = make_weights()["table.weight"].requires_grad_()
    save(tmp_path / "w.safetensors", {"table.weight": table.detach()}, int8=["table.weight"])
    stored = as_stored(table)
    torch.testing.assert_close(stored, load(tmp_path / "w.safetensors")["table.weight"])
    factors = torch.randn_like(table)
    (stored * factors).sum().backward()
    assert torch.equal(table.grad, factors)


def test_a_plain_safetensors_file_loads_too(tmp_path):
    save_file({"a.scale": torch.ones(3), "a": torch.ones(3, 2)}, tmp_path / "plain.safetensors")
    assert load(tmp_path / "plain.safetensors").keys() == {"a", "a.scale"}


@pytest.mark.parametrize(
    ("tensors", "int8"),
    [(make_weights(), ["conv.bias"]), (make_weights(), ["nothing"]), ({"large.weight": torch.full((2, 2), 1e6)}, [])],
)
def test_other_tensors_than_matrices_and_values_beyond_fp16_are_refused_by_name(tmp_path, tensors, int8):
    with pytest.raises(InvalidArgument, match=int8[0] if int8 else "large.weight"):
        save(tmp_path / "w.safetensors", tensors, int8=int8)
