"""Tacotron 2's decoder over all steps at once, when it is told where attention was: for training on a CPU.

Told the attention of the past, no step needs the one before it, but for the two LSTMs, which run over all steps in one
call each. That is several times faster than step by step. What attention finds now still comes from the network, and
so does the context that the mel is made of, so everything that `Decoder.step` uses is learnt.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.attention import Attention
from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.model import Tacotron2


class Prediction(NamedTuple):
    """
    Attributes
    ----------
    decoded, mel : float, shape = (batch, n_mel_channels, frames), before and after the postnet
    gates : float, shape = (batch, steps), logits
    log_attention : float, shape = (batch, steps, symbols)
    """

    decoded: Tensor
    mel: Tensor
    gates: Tensor
    log_attention: Tensor


def predict(
    network: Tacotron2, symbol_ids: Tensor, symbols_length: Tensor, mels: Tensor, mels_length: Tensor, attention: Tensor
) -> Prediction:
    """What the network makes of each step, given the true mel and the attention of all steps before.

    Parameters
    ----------
    attention : float, shape = (batch, steps, symbols), rows sum to 1

    The other inputs are those of `Tacotron2.teacher_forced`, with which it agrees if it is told that one's attention.
    """
    decoder = network.decoder
    memory, mask = network.encode(symbol_ids, symbols_length.flatten().long())
    past = F.pad(attention, (0, 0, 1, 0))[:, :-1]
    hidden = run_lstm(decoder.attention_rnn, torch.cat((seen_frames(network, mels), past @ memory), 2))
    hidden = F.dropout(hidden, decoder.p_attention_dropout, network.training)
    log_attention = attend(decoder.attention_layer, hidden, memory, mask, past)
    contexts = log_attention.exp() @ memory
    output = run_lstm(decoder.decoder_rnn, torch.cat((hidden, contexts), 2))
    output = F.dropout(output, decoder.p_decoder_dropout, network.training)
    features = torch.cat((output, contexts), 2)
    decoded = decoder.as_mel(decoder.linear_projection(features).transpose(0, 1))
    valid = length_mask(mels_length.flatten().long(), mels.size(2))
    columns = valid.unsqueeze(1)
    mel = (decoded + network.postnet(decoded, valid)) * columns
    return Prediction(decoded * columns, mel, decoder.gate_layer(features).squeeze(2), log_attention)


def seen_frames(network: Tacotron2, mels: Tensor) -> Tensor:
    """The prenet's view of the frames before each step: float, shape = (batch, steps, prenet_dim)."""
    given = mels.transpose(1, 2).reshape(mels.size(0), -1, network.decoder.frames_dim)
    return network.decoder.prenet.teacher_forced(F.pad(given, (0, 0, 1, 0))[:, :-1])


def run_lstm(cell: nn.LSTMCell, x: Tensor) -> Tensor:
    """The cell over all steps: float, shape = (batch, steps, hidden)."""
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    state = x.new_zeros(1, x.size(0), cell.hidden_size)
    return torch.lstm(x, (state, state), weights, True, 1, 0.0, cell.training, False, True)[0]


def attend(attention: Attention, hidden: Tensor, memory: Tensor, mask: Tensor, past: Tensor) -> Tensor:
    """Log of the attention of every step: float, shape = (batch, steps, symbols)."""
    batch, steps, symbols = past.shape
    layer = attention.location_layer
    past_weights = torch.stack((past, past.cumsum(1)), 2).reshape(batch * steps, 2, symbols)
    location = layer.location_dense(layer.location_conv(past_weights).transpose(1, 2)).unflatten(0, (batch, steps))
    queries, keys = attention.query_layer(hidden).unsqueeze(2), attention.memory_layer(memory).unsqueeze(1)
    energies = attention.v(torch.tanh(queries + location + keys)).squeeze(3)
    return torch.log_softmax(energies.float().masked_fill(~mask.unsqueeze(1), -float("inf")), 2)
