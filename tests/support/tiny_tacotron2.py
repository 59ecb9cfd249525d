"""A Tacotron 2 small enough for unit tests."""

import torch

from convai.networks.tacotron2.model import Tacotron2, Tacotron2Config

TINY = Tacotron2Config(
    n_symbols=20,
    symbols_embedding_dim=16,
    encoder_embedding_dim=16,
    attention_rnn_dim=24,
    attention_dim=12,
    attention_location_n_filters=4,
    attention_location_kernel_size=7,
    n_frames_per_step=3,
    decoder_rnn_dim=20,
    prenet_dim=8,
    postnet_embedding_dim=12,
    max_decoder_steps=40,
    steps_per_symbol=2,
    extra_steps=3,
)


def network(config=TINY, gate_bias=-100.0):
    """Build a network with weights twice as large as usual, so that rows and steps differ much."""
    torch.manual_seed(1)
    tacotron2 = Tacotron2(config).eval()
    with torch.no_grad():
        for parameter in tacotron2.parameters():
            parameter.mul_(2)
        tacotron2.decoder.gate_layer.linear_layer.weight.mul_(3)
        tacotron2.decoder.gate_layer.linear_layer.bias.fill_(gate_bias)
    return tacotron2


@torch.inference_mode()
def decode(tacotron2, symbol_ids, symbols_length):
    return tacotron2(symbol_ids, symbols_length)
