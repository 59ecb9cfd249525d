from dataclasses import replace

import pytest
import torch
from support.textbook_decoder import TextbookDecoder
from support.tiny_tacotron2 import TINY, decode, network

from convai.errors import InvalidArgument
from convai.networks.tacotron2.model import CONFIGS, Tacotron2, example_inputs


@pytest.mark.parametrize(("name", "expected"), [("tacotron2", 28_193_153), ("mini", 2_767_713)])
def test_networks_have_their_published_number_of_parameters(name, expected):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Tacotron2(CONFIGS[name]).parameters()) == expected


def test_a_row_is_the_same_alone_and_unpadded_as_in_an_unsorted_batch():
    # In FP64 an influence of other rows stands out; in FP32 these large weights amplify rounding.
    tacotron2 = network(gate_bias=-2.0).double()
    symbol_ids, symbols_length = example_inputs(TINY, 6, 18, seed=3)
    mel, mel_length = decode(tacotron2, symbol_ids, symbols_length)
    assert len(set(mel_length.flatten().tolist())) > 3 and symbols_length.flatten().diff().max() > 0
    for row, length in enumerate(symbols_length.flatten().tolist()):
        alone, alone_length = decode(tacotron2, symbol_ids[row : row + 1, :length], symbols_length[row : row + 1])
        frames = int(alone_length)
        assert frames == int(mel_length[row])
        torch.testing.assert_close(mel[row, :, :frames], alone[0, :, :frames], atol=1e-8, rtol=0)
        assert not mel[row, :, frames:].any()


def test_the_step_cap_follows_the_number_of_symbols_up_to_the_limit():
    symbols_length = torch.tensor([[1], [10], [30]], dtype=torch.int32)
    symbol_ids = torch.ones(3, 30, dtype=torch.int64)
    _, mel_length = decode(network(), symbol_ids, symbols_length)
    assert mel_length.flatten().tolist() == [5 * 3, 23 * 3, 40 * 3]
    assert mel_length.dtype == torch.int32


def test_a_row_without_symbols_has_an_empty_mel_and_does_not_influence_others():
    tacotron2 = network()
    symbol_ids, symbols_length = example_inputs(TINY, 2, 8)
    symbol_ids[0], symbols_length[0] = 0, 0
    mel, mel_length = decode(tacotron2, symbol_ids, symbols_length)
    alone, alone_length = decode(tacotron2, symbol_ids[1:], symbols_length[1:])
    assert int(mel_length[0]) == 0 and torch.isfinite(mel).all()
    # The tolerance of an export: processors without AVX-512 sum in another order.
    torch.testing.assert_close(mel[1, :, : int(alone_length)], alone[0], atol=1e-3, rtol=0)


def test_the_dropout_seed_changes_the_mel_and_the_global_generator_does_not():
    inputs = example_inputs(TINY, 1, 8)
    mel, _ = decode(network(), *inputs)
    torch.manual_seed(99)
    again, _ = decode(network(), *inputs)
    other, _ = decode(network(replace(TINY, prenet_dropout_seed=1)), *inputs)
    assert torch.equal(mel, again)
    assert not torch.allclose(mel, other)


def test_symbol_ids_and_lengths_out_of_range_are_refused():
    symbol_ids, symbols_length = example_inputs(TINY, 1, 5)
    for symbol in (-1, 20):
        symbol_ids[0, 2] = symbol
        with pytest.raises(ValueError, match="symbol_ids: expected 0 to 19"):
            decode(network(), symbol_ids, symbols_length)
    with pytest.raises(torch.jit.Error, match="symbol_ids: expected 0 to 19"):
        decode(torch.jit.script(network()), symbol_ids, symbols_length)
    with pytest.raises(ValueError, match="symbols_length: expected 0 to 5"):
        decode(network(), symbol_ids * 0, symbols_length + 1)


def decoders_and_their_arguments(symbols, config=TINY):
    tacotron2 = network(config).double()
    textbook = TextbookDecoder(config).double().eval()
    textbook.load_state_dict(tacotron2.decoder.state_dict())
    symbol_ids, symbols_length = example_inputs(config, 3, symbols)
    memory, mask = tacotron2.encode(symbol_ids, symbols_length.flatten().long())
    return tacotron2.decoder, textbook, memory, mask


@pytest.mark.parametrize("symbols", [9, 25], ids=["memory multiplied first", "more symbols than channels"])
def test_the_decoder_step_equals_the_textbook_form(symbols):
    decoder, textbook, memory, mask = decoders_and_their_arguments(symbols)
    caps = torch.tensor([20, 12, 16])
    with torch.inference_mode():
        ours, theirs = decoder(memory, mask, caps), textbook(memory, mask, caps)
    assert ours.mel.abs().max() > 0.1
    torch.testing.assert_close(ours.mel, theirs.mel, atol=1e-9, rtol=0)
    assert torch.equal(ours.mel_steps, theirs.mel_steps)


def test_gradients_of_training_equal_those_of_the_textbook_form():
    certain = replace(TINY, p_prenet_dropout=0.0, p_attention_dropout=0.0, p_decoder_dropout=0.0)
    decoder, textbook, memory, mask = decoders_and_their_arguments(9, certain)
    memory, mels = memory.detach(), torch.randn(3, 80, 15, dtype=torch.float64)
    for one in (decoder, textbook):
        mel, gates, alignments = one.train().teacher_forced(memory, mask, mels)
        (mel.abs().mean() + gates.square().mean() + alignments.square().sum()).backward()
    theirs = dict(textbook.named_parameters())
    for name, parameter in decoder.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-9, rtol=1e-6, msg=name)


@pytest.mark.parametrize(
    "values",
    [{"encoder_kernel_size": 4}, {"gate_threshold": 1.0}, {"p_prenet_dropout": 1.0}, {"encoder_embedding_dim": 18}],
)
def test_invalid_sizes_are_refused_by_name(values):
    with pytest.raises(InvalidArgument, match=next(iter(values))):
        replace(TINY, **values)
