import pytest
import torch
from safetensors.torch import save_file

from convai.networks.checkpoints.quantised import as_stored, load, quantise_rows, save


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "table.weight": torch.randn(50, 16, generator=generator),
        "conv.weight": torch.randn(8, 4, 3, generator=generator),
        "conv.bias": torch.randn(8, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
    }


def test_int8_rows_come_back_within_half_a_step(tmp_path):
    saved = weights()
    save(tmp_path / "w.safetensors", saved, int8=["table.weight", "conv.weight"])
    loaded = load(tmp_path / "w.safetensors")
    assert loaded.keys() == saved.keys()
    for name in ("table.weight", "conv.weight"):
        step = saved[name].flatten(1).abs().amax(dim=1) / 127
        worst = (loaded[name] - saved[name]).flatten(1).abs().amax(dim=1)
        assert (worst <= 0.6 * step).all()  # half a step, and the rounding of the scale


def test_the_rest_is_fp16_in_the_file_and_fp32_in_memory(tmp_path):
    save(tmp_path / "w.safetensors", weights())
    loaded = load(tmp_path / "w.safetensors")
    assert torch.equal(loaded["conv.bias"], weights()["conv.bias"].half().float())
    assert loaded["norm.num_batches_tracked"] == 7


def test_a_matrix_as_stored_is_the_one_that_is_read_and_its_gradient_that_of_the_matrix(tmp_path):
    table = weights()["table.weight"].requires_grad_()
    save(tmp_path / "w.safetensors", {"table.weight": table.detach()}, int8=["table.weight"])
    stored = as_stored(table)
    torch.testing.assert_close(stored, load(tmp_path / "w.safetensors")["table.weight"])
    factors = torch.randn_like(table)
    (stored * factors).sum().backward()
    assert torch.equal(table.grad, factors)


def test_int8_takes_half_the_space_of_fp16(tmp_path):
    table = {"table.weight": torch.randn(1000, 384)}
    save(tmp_path / "half.safetensors", table)
    save(tmp_path / "int8.safetensors", table, int8=["table.weight"])
    assert (tmp_path / "int8.safetensors").stat().st_size < 0.51 * (tmp_path / "half.safetensors").stat().st_size


def test_a_row_of_zeros_stays_zeros():
    quantised, scale = quantise_rows(torch.zeros(2, 4))
    assert not quantised.any() and torch.isfinite(scale).all()


def test_a_plain_safetensors_file_loads_too(tmp_path):
    save_file({"a.scale": torch.ones(3), "a": torch.ones(3, 2)}, tmp_path / "plain.safetensors")
    assert load(tmp_path / "plain.safetensors").keys() == {"a", "a.scale"}


@pytest.mark.parametrize("name", ["conv.bias", "nothing"])
def test_int8_of_anything_but_a_matrix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=name):
        save(tmp_path / "w.safetensors", weights(), int8=[name])


def test_weights_beyond_fp16_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="big.weight"):
        save(tmp_path / "w.safetensors", {"big.weight": torch.full((2, 2), 1e6)})
