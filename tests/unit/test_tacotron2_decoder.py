from dataclasses import replace

import pytest
import torch
from support.textbook_decoder import TextbookDecoder
from support.tiny_tacotron2 import TINY, network

from convai.networks.tacotron2.model import example_inputs


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
