"""One step of Tacotron 2's decoder, arranged so that what stays the same over the steps is computed once.

In the textbook form a step computes the attention context, a weighted mean of the memory, and multiplies it by matrices
of the two recurrent networks and of the output. Since all of that is linear, the memory can be multiplied first, and
each step reads the weighted mean of the products: with few symbols, much less work. The matrices stay those of
NVIDIA's layout, whose columns belong to the inputs that were concatenated there.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.attention import Attention
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import LinearNorm

# Before training no gate fires by chance, so a random network runs to its step cap.
UNTRAINED_GATE_LOGIT = -3.0


class PreparedText(NamedTuple):
    """What stays the same over all decoder steps of a batch.

    Attributes
    ----------
    memory : float, shape = (batch, symbols, encoder_embedding_dim)
    keys : float, shape = (batch, symbols, attention_dim)
    penalty : float, shape = (batch, symbols), minus infinity past a row's last symbol, else zero
    location : float, shape = (2 * attention_location_kernel_size, attention_dim)
    reading_weight, reading_bias : of the map from a context to what it adds to a step: to the gates of the attention
        RNN, to those of the decoder RNN, to the output
    readings : float, shape = (batch, symbols, sum of these), the same for each symbol, if that is less work
    output_weight : float, shape = (frames_dim + 1, decoder_rnn_dim), of frames and gate
    """

    memory: Tensor
    keys: Tensor
    penalty: Tensor
    location: Tensor
    reading_weight: Tensor
    reading_bias: Tensor
    readings: Tensor | None
    output_weight: Tensor


class DecoderState(NamedTuple):
    """What one decoder step hands to the next; the first axis of each tensor is the batch."""

    attention_hidden: Tensor
    attention_cell: Tensor
    decoder_hidden: Tensor
    decoder_cell: Tensor
    attention_weights: Tensor
    attention_weights_sum: Tensor
    read: Tensor


class DecoderStep(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        context_dim = config.encoder_embedding_dim
        self.frames_dim = config.n_mel_channels * config.n_frames_per_step
        self.prenet_dim, self.context_dim = config.prenet_dim, context_dim
        self.attention_rnn_dim, self.decoder_rnn_dim = config.attention_rnn_dim, config.decoder_rnn_dim
        self.p_attention_dropout, self.p_decoder_dropout = config.p_attention_dropout, config.p_decoder_dropout
        self.attention_rnn = nn.LSTMCell(config.prenet_dim + context_dim, config.attention_rnn_dim)
        self.attention_layer = Attention(config)
        self.decoder_rnn = nn.LSTMCell(config.attention_rnn_dim + context_dim, config.decoder_rnn_dim)
        self.linear_projection = LinearNorm(config.decoder_rnn_dim + context_dim, self.frames_dim)
        self.gate_layer = LinearNorm(config.decoder_rnn_dim + context_dim, 1, gain="sigmoid")
        nn.init.constant_(self.gate_layer.linear_layer.bias, UNTRAINED_GATE_LOGIT)

    def prepare(self, memory: Tensor, mask: Tensor) -> PreparedText:
        weight, bias = self.reading()
        readings: Tensor | None = None
        if not self.training and memory.size(1) <= self.context_dim:
            readings = F.linear(memory, weight, bias)
        return PreparedText(
            memory,
            self.attention_layer.memory_layer(memory),
            torch.zeros_like(memory[:, :, 0]).masked_fill(~mask, -float("inf")),
            self.attention_layer.location_layer.merged(),
            weight,
            bias,
            readings,
            self.output_weight()[:, : self.decoder_rnn_dim],
        )

    def reading(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the map from a context to what it adds to a step, as in `PreparedText`."""
        attention, decoder = self.attention_rnn, self.decoder_rnn
        weight = torch.cat(
            (
                attention.weight_ih[:, self.prenet_dim :],
                decoder.weight_ih[:, self.attention_rnn_dim :],
                self.output_weight()[:, self.decoder_rnn_dim :],
            )
        )
        # Attention weights add up to 1, so every step reads each bias exactly once.
        projection, gate = self.linear_projection.linear_layer, self.gate_layer.linear_layer
        bias = torch.cat(
            (attention.bias_ih + attention.bias_hh, decoder.bias_ih + decoder.bias_hh, projection.bias, gate.bias)
        )
        return weight, bias

    def output_weight(self) -> Tensor:
        """Of frames and gate: float, shape = (frames_dim + 1, decoder_rnn_dim + context_dim)."""
        return torch.cat((self.linear_projection.linear_layer.weight, self.gate_layer.linear_layer.weight))

    def initial_state(self, text: PreparedText) -> DecoderState:
        batch = text.memory.size(0)
        attention = text.memory.new_zeros(batch, self.attention_rnn_dim)
        decoder = text.memory.new_zeros(batch, self.decoder_rnn_dim)
        weights = torch.zeros_like(text.penalty)
        return DecoderState(
            attention, attention, decoder, decoder, weights, weights, text.reading_bias.expand(batch, -1)
        )

    def see(self, prenet: Tensor) -> Tensor:
        """What the prenet's output adds to the gates of the attention RNN, of one step or of many at once."""
        return F.linear(prenet, self.attention_rnn.weight_ih[:, : self.prenet_dim])

    def read(self, weights: Tensor, text: PreparedText) -> Tensor:
        """What the symbols add to a step, with these attention weights: float, shape = (batch, size of a reading)."""
        readings = text.readings
        if readings is not None:
            return torch.bmm(weights.unsqueeze(1), readings).squeeze(1)
        context = torch.bmm(weights.unsqueeze(1), text.memory).squeeze(1)
        return F.linear(context, text.reading_weight, text.reading_bias)

    def step(self, seen: Tensor, state: DecoderState, text: PreparedText) -> tuple[Tensor, Tensor, DecoderState]:
        """
        Parameters
        ----------
        seen : float, shape = (batch, 4 * attention_rnn_dim), see `see`

        Returns
        -------
        the frames, shape = (batch, frames_dim), the gate's logit, shape = (batch,), and the next state.
        """
        gates = seen + state.read[:, : seen.size(1)]
        gates = torch.addmm(gates, state.attention_hidden, self.attention_rnn.weight_hh.t())
        attention_hidden, attention_cell = lstm(gates, state.attention_cell)
        attention_hidden = F.dropout(attention_hidden, self.p_attention_dropout, self.training)

        surroundings = self.attention_layer.location_layer.surroundings(
            state.attention_weights, state.attention_weights_sum
        )
        weights = self.attention_layer(attention_hidden, text.keys, text.location, surroundings, text.penalty)
        read = self.read(weights, text)

        gates, output = read[:, seen.size(1) :].split([4 * self.decoder_rnn_dim, self.frames_dim + 1], 1)
        gates = torch.addmm(gates, attention_hidden, self.decoder_rnn.weight_ih[:, : self.attention_rnn_dim].t())
        gates = torch.addmm(gates, state.decoder_hidden, self.decoder_rnn.weight_hh.t())
        decoder_hidden, decoder_cell = lstm(gates, state.decoder_cell)
        decoder_hidden = F.dropout(decoder_hidden, self.p_decoder_dropout, self.training)

        output = torch.addmm(output, decoder_hidden, text.output_weight.t())
        weights_sum = state.attention_weights_sum + weights
        state = DecoderState(attention_hidden, attention_cell, decoder_hidden, decoder_cell, weights, weights_sum, read)
        return output[:, : self.frames_dim], output[:, self.frames_dim], state


def lstm(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden and cell state of an LSTM from the sums at its gates: input, forget, candidate, output."""
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, 1)
    cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(candidate)
    return torch.sigmoid(output_gate) * torch.tanh(cell), cell
