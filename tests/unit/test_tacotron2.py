from dataclasses import replace

import pytest
import torch
from support.tiny_tacotron2 import TINY, decode, network

from convai.networks.tacotron2.model import CONFIGS, Tacotron2, example_inputs


def test_nvidias_network_has_its_published_parameter_count():
    with torch.device("meta"):
        tacotron2 = Tacotron2(CONFIGS["tacotron2"])
    assert sum(parameter.numel() for parameter in tacotron2.parameters()) == 28_193_153


def test_the_mini_network_has_about_2_8_million_parameters():
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in Tacotron2(CONFIGS["mini"]).parameters())
    assert 2_700_000 < count < 2_900_000


def test_the_dropout_table_is_not_part_of_the_checkpoint():
    keys = Tacotron2(TINY).state_dict().keys()
    assert "decoder.attention_layer.location_layer.location_conv.conv.weight" in keys
    assert not [key for key in keys if "table" in key]


def test_scripted_and_eager_networks_agree():
    tacotron2 = network()
    inputs = example_inputs(TINY, 4, 12)
    mel, mel_length = decode(tacotron2, *inputs)
    scripted_mel, scripted_mel_length = decode(torch.jit.script(tacotron2), *inputs)
    assert torch.equal(mel_length, scripted_mel_length)
    torch.testing.assert_close(scripted_mel, mel, atol=1e-5, rtol=0)


def test_a_saved_script_keeps_the_dropout_table(tmp_path):
    tacotron2 = network()
    inputs = example_inputs(TINY, 1, 9)
    torch.jit.save(torch.jit.script(tacotron2), tmp_path / "model.pt")
    loaded_mel, _ = decode(torch.jit.load(tmp_path / "model.pt"), *inputs)
    torch.testing.assert_close(loaded_mel, decode(tacotron2, *inputs)[0], atol=1e-5, rtol=0)


def test_a_row_gets_alone_and_unpadded_what_it_gets_in_an_unsorted_batch():
    # In double precision a leak shows as such: in single, these wild weights amplify rounding differences.
    tacotron2 = network(gate_bias=-2.0).double()
    symbol_ids, symbols_length = example_inputs(TINY, 6, 18, seed=3)
    mel, mel_length = decode(tacotron2, symbol_ids, symbols_length)
    assert len(set(mel_length.flatten().tolist())) > 3 and symbols_length.flatten().diff().max() > 0
    for row, length in enumerate(symbols_length.flatten().tolist()):
        alone, alone_length = decode(tacotron2, symbol_ids[row : row + 1, :length], symbols_length[row : row + 1])
        frames = int(alone_length)
        assert frames == int(mel_length[row])
        torch.testing.assert_close(mel[row, :, :frames], alone[0, :, :frames], atol=1e-8, rtol=0)


def test_a_longer_bucket_changes_nothing():
    tacotron2 = network()
    symbol_ids, symbols_length = example_inputs(TINY, 3, 10)
    mel, mel_length = decode(tacotron2, symbol_ids, symbols_length)
    longer_mel, longer_length = decode(tacotron2, torch.nn.functional.pad(symbol_ids, (0, 22)), symbols_length)
    assert torch.equal(mel_length, longer_length)
    torch.testing.assert_close(longer_mel, mel, atol=1e-4, rtol=0)


def test_the_step_cap_follows_the_number_of_symbols_up_to_the_limit():
    symbols_length = torch.tensor([[1], [10], [30]], dtype=torch.int32)
    symbol_ids = torch.ones(3, 30, dtype=torch.int64)
    _, mel_length = decode(network(), symbol_ids, symbols_length)
    assert mel_length.flatten().tolist() == [5 * 3, 23 * 3, 40 * 3]
    assert mel_length.dtype == torch.int32


def test_columns_past_the_mel_length_are_zero():
    mel, mel_length = decode(network(gate_bias=-2.0), *example_inputs(TINY, 6, 18, seed=3))
    for row, length in enumerate(mel_length.flatten().tolist()):
        assert mel[row, :, length:].abs().sum() == 0
        assert length == 0 or mel[row, :, length - 1].abs().sum() > 0


def test_a_gate_that_fires_at_once_leaves_an_empty_mel():
    _, mel_length = decode(network(gate_bias=100.0), *example_inputs(TINY, 2, 6))
    assert mel_length.flatten().tolist() == [0, 0]


def test_a_row_without_symbols_has_an_empty_mel_and_leaves_its_neighbour_alone():
    tacotron2 = network()
    symbol_ids, symbols_length = example_inputs(TINY, 2, 8)
    symbol_ids[0], symbols_length[0] = 0, 0
    mel, mel_length = decode(tacotron2, symbol_ids, symbols_length)
    alone, alone_length = decode(tacotron2, symbol_ids[1:], symbols_length[1:])
    assert int(mel_length[0]) == 0 and torch.isfinite(mel).all()
    # What exports may differ by: processors without AVX-512 add up in another order.
    torch.testing.assert_close(mel[1, :, : int(alone_length)], alone[0], atol=1e-3, rtol=0)


def test_the_dropout_seed_changes_the_mel_and_the_global_generator_does_not():
    inputs = example_inputs(TINY, 1, 8)
    mel, _ = decode(network(), *inputs)
    torch.manual_seed(99)
    again, _ = decode(network(), *inputs)
    other, _ = decode(network(replace(TINY, prenet_dropout_seed=1)), *inputs)
    assert torch.equal(mel, again)
    assert not torch.allclose(mel, other)


@pytest.mark.parametrize("symbol", [-1, 20])
def test_symbol_ids_out_of_range_are_refused(symbol):
    symbol_ids, symbols_length = example_inputs(TINY, 1, 5)
    symbol_ids[0, 2] = symbol
    with pytest.raises(ValueError, match="allowed are 0 to 19"):
        decode(network(), symbol_ids, symbols_length)
    with pytest.raises(torch.jit.Error, match="allowed are 0 to 19"):
        decode(torch.jit.script(network()), symbol_ids, symbols_length)


def test_a_length_past_the_last_column_is_refused():
    symbol_ids, symbols_length = example_inputs(TINY, 1, 5)
    with pytest.raises(ValueError, match="allowed are 0 to 5"):
        decode(network(), symbol_ids, symbols_length + 1)


def test_teacher_forcing_scripts_and_trains_every_parameter():
    tacotron2 = network().train()
    mels = torch.randn(2, 80, 12)
    outputs = torch.jit.script(tacotron2).teacher_forced(
        *example_inputs(TINY, 2, 7), mels, torch.tensor([[12], [6]], dtype=torch.int32)
    )
    decoded, corrected, gates, alignments = outputs
    assert decoded.shape == corrected.shape == (2, 80, 12)
    assert gates.shape == (2, 4) and alignments.shape == (2, 4, 7)
    assert corrected[1, :, 6:].abs().sum() == 0
    sum(output.square().sum() for output in outputs).backward()
    assert [name for name, parameter in tacotron2.named_parameters() if parameter.grad is None] == []


def test_teacher_forcing_with_what_inference_wrote_gives_it_again():
    tacotron2 = network(replace(TINY, p_prenet_dropout=0.0))
    symbol_ids, symbols_length = example_inputs(TINY, 1, 9)
    memory, mask = tacotron2.encode(symbol_ids, symbols_length.flatten().long())
    caps = tacotron2.step_caps(symbols_length.flatten().long())
    with torch.inference_mode():
        written = tacotron2.decoder(memory, mask, caps).mel
        again, _, alignments = tacotron2.decoder.teacher_forced(memory, mask, written)
    torch.testing.assert_close(again, written, atol=1e-5, rtol=0)
    torch.testing.assert_close(alignments.sum(2), torch.ones(1, alignments.size(1)))


def test_frames_that_fill_no_whole_step_are_refused():
    with pytest.raises(ValueError, match="multiple of 3"):
        network().teacher_forced(*example_inputs(TINY, 1, 5), torch.zeros(1, 80, 10), torch.tensor([[10]]))


@pytest.mark.parametrize(
    "values",
    [{"encoder_kernel_size": 4}, {"gate_threshold": 1.0}, {"p_prenet_dropout": 1.0}, {"encoder_embedding_dim": 18}],
)
def test_impossible_sizes_are_refused_by_name(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        replace(TINY, **values)
