"""Tacotron 2's losses, and its decoder run over all steps at once (teacher forcing).

Given the attention of the earlier steps, no step depends on the one before it, except in the two LSTMs, which run over
all steps in one call each. That is several times faster on a CPU than step by step. The attention of the current step
and the context still come from the network, so everything in `Decoder.step` is learnt.
"""

from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.attention import Attention
from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.model import Tacotron2
from training.tacotron2.data import Batch, Tacotron2Recipe, shift_attention

LEAST_ATTENTION = 1e-8  # so that its logarithm is finite


class Prediction(NamedTuple):
    """
    Attributes
    ----------
    decoded, mel : float32, shape = (batch, 80, frames), before and after the postnet
    gates : float32, shape = (batch, steps), logits
    log_attention : float32, shape = (batch, steps, symbols)
    """

    decoded: Tensor
    mel: Tensor
    gates: Tensor
    log_attention: Tensor


def compute_losses(network: Tacotron2, batch: Batch, recipe: Tacotron2Recipe, step: int) -> dict[str, Tensor]:
    """The losses of a training step; "loss" is their weighted sum."""
    rng = np.random.default_rng((recipe.schedule.seed, step))
    if step >= recipe.sequential_from and rng.random() < recipe.sequential_share:
        prediction = predict_step_by_step(network, batch)
    else:
        with recipe.autocast():
            prediction = predict(network, batch, shift_attention(batch.attention, recipe.largest_shift, rng))
    losses = compare(prediction, batch, recipe.gate_positive_weight)
    total = losses["mel"] + recipe.delta_weight * losses["delta"] + recipe.gate_weight * losses["gate"]
    return {"loss": total + recipe.attention_weight * losses["attention"], **losses}


def compare(prediction: Prediction, batch: Batch, gate_positive_weight: float) -> dict[str, Tensor]:
    """Mean losses over valid frames or steps.

    Returns
    -------
    mel : absolute difference of the log-mels, before and after the postnet
    delta : the same of the change from frame to frame, which is too small in a blurred mel
    gate : cross-entropy of the end
    attention : cross-entropy with the teacher's attention, in nats
    """
    frame_mask = length_mask(batch.mels_length.flatten().long(), batch.mels.size(2)).unsqueeze(1)
    step_mask = batch.step_mask
    differences = [mel.float() - batch.mels for mel in (prediction.decoded, prediction.mel)]
    gate = F.binary_cross_entropy_with_logits(
        prediction.gates.float(), batch.gates, reduction="none", pos_weight=batch.gates.new_tensor(gate_positive_weight)
    )
    attention = batch.attention * prediction.log_attention.float().masked_fill(batch.attention == 0, 0)
    return {
        "mel": masked_mean(differences[0].abs(), frame_mask) + masked_mean(differences[1].abs(), frame_mask),
        "delta": masked_mean(differences[1].diff(dim=2).abs(), frame_mask[:, :, 1:]),
        "gate": masked_mean(gate, step_mask),
        "attention": masked_mean(-attention.sum(2), step_mask),
    }


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.expand_as(values).sum()


def predict_step_by_step(network: Tacotron2, batch: Batch) -> Prediction:
    """Decode with the network's own attention, as in serving."""
    inputs = batch.symbol_ids, batch.symbols_length, batch.mels, batch.mels_length
    decoded, mel, gates, attention = network.teacher_forced(*inputs)
    return Prediction(decoded, mel, gates, attention.clamp(min=LEAST_ATTENTION).log())


def predict(network: Tacotron2, batch: Batch, attention: Tensor) -> Prediction:
    """Predict every step from the true mel and the given attention of all earlier steps.

    With the attention that `Tacotron2.teacher_forced` returns, the result is the same.

    Parameters
    ----------
    attention : float32, shape = (batch, steps, symbols), rows sum to 1
    """
    decoder = network.decoder
    memory, mask = network.encode(batch.symbol_ids, batch.symbols_length.flatten().long())
    past = F.pad(attention, (0, 0, 1, 0))[:, :-1]
    hidden = run_lstm(decoder.attention_rnn, torch.cat((run_prenet(network, batch.mels), past @ memory), 2))
    hidden = F.dropout(hidden, decoder.p_attention_dropout, network.training)
    log_attention = attend(decoder.attention_layer, hidden, memory, mask, past)
    contexts = log_attention.exp() @ memory
    output = run_lstm(decoder.decoder_rnn, torch.cat((hidden, contexts), 2))
    output = F.dropout(output, decoder.p_decoder_dropout, network.training)
    features = torch.cat((output, contexts), 2)
    decoded = decoder.as_mel(decoder.linear_projection(features).transpose(0, 1))
    valid = length_mask(batch.mels_length.flatten().long(), batch.mels.size(2))
    columns = valid.unsqueeze(1)
    mel = (decoded + network.postnet(decoded, valid)) * columns
    return Prediction(decoded * columns, mel, decoder.gate_layer(features).squeeze(2), log_attention)


def run_prenet(network: Tacotron2, mels: Tensor) -> Tensor:
    """The prenet's output for the frames before each step: float32, shape = (batch, steps, prenet_dim)."""
    frames = mels.transpose(1, 2).reshape(mels.size(0), -1, network.decoder.frames_dim)
    return network.decoder.prenet.teacher_forced(F.pad(frames, (0, 0, 1, 0))[:, :-1])


def run_lstm(cell: nn.LSTMCell, x: Tensor) -> Tensor:
    """The cell's output over all steps: float32, shape = (batch, steps, hidden)."""
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    # In BF16 autocast, cuDNN's LSTM returns FP16, which torch.cat refuses to join with BF16.
    with torch.autocast("cuda", enabled=False) if x.is_cuda else nullcontext():
        x = x.float() if x.is_cuda else x
        state = x.new_zeros(1, x.size(0), cell.hidden_size)
        return torch.lstm(x, (state, state), weights, True, 1, 0.0, cell.training, False, True)[0]


def attend(attention: Attention, hidden: Tensor, memory: Tensor, mask: Tensor, past: Tensor) -> Tensor:
    """Logarithm of the attention of every step: float32, shape = (batch, steps, symbols)."""
    batch, steps, symbols = past.shape
    layer = attention.location_layer
    past_weights = torch.stack((past, past.cumsum(1)), 2).reshape(batch * steps, 2, symbols)
    location = layer.location_dense(layer.location_conv(past_weights).transpose(1, 2)).unflatten(0, (batch, steps))
    queries, keys = attention.query_layer(hidden).unsqueeze(2), attention.memory_layer(memory).unsqueeze(1)
    energies = attention.v(torch.tanh(queries + location + keys)).squeeze(3)
    return torch.log_softmax(energies.float().masked_fill(~mask.unsqueeze(1), -float("inf")), 2)
