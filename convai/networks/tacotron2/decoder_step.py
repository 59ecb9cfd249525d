"""One step of Tacotron 2's decoder; products that are constant over the steps are computed once.

In the paper's form, a step computes the attention context, a weighted mean of the memory, and multiplies it by matrices
of the two recurrent networks and of the output. All of that is linear, so the memory can be multiplied first, and each
step takes the weighted mean of the products: with few symbols, much less work. The matrices keep NVIDIA's layout, whose
columns belong to the concatenated inputs.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.attention import Attention
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import LinearNorm

# No gate of an untrained network fires by chance, so it runs to its step cap.
UNTRAINED_GATE_LOGIT = -3.0


class PreparedText(NamedTuple):
    """The constants of all decoder steps of a batch.

    Attributes
    ----------
    memory : float, shape = (batch, symbols, encoder_embedding_dim)
    keys : float, shape = (batch, symbols, attention_dim)
    penalty : float, shape = (batch, symbols), minus infinity past a row's last symbol, else zero
    location : float, shape = (2 * attention_location_kernel_size, attention_dim)
    context_weight, context_bias : float, shape = (context_terms, encoder_embedding_dim) and (context_terms,); they map
        a context to its terms in the gates of the attention RNN, in those of the decoder RNN, and in the output
    projected_memory : float, shape = (batch, symbols, context_terms), if that is less work than to project the context
    output_weight : float, shape = (frames_dim + 1, decoder_rnn_dim), of frames and gate
    """

    memory: Tensor
    keys: Tensor
    penalty: Tensor
    location: Tensor
    context_weight: Tensor
    context_bias: Tensor
    projected_memory: Tensor | None
    output_weight: Tensor


class DecoderState(NamedTuple):
    """The state between two decoder steps.

    Attributes
    ----------
    attention_hidden, attention_cell : float, shape = (batch, attention_rnn_dim)
    decoder_hidden, decoder_cell : float, shape = (batch, decoder_rnn_dim)
    attention_weights, attention_weights_sum : float, shape = (batch, symbols), of the last step and of all steps
    context_terms : float, shape = (batch, context_terms), those of the last context
    """

    attention_hidden: Tensor
    attention_cell: Tensor
    decoder_hidden: Tensor
    decoder_cell: Tensor
    attention_weights: Tensor
    attention_weights_sum: Tensor
    context_terms: Tensor


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
        """Compute the constants of all steps.

        Parameters
        ----------
        memory : float, shape = (batch, symbols, encoder_embedding_dim)
        mask : bool, shape = (batch, symbols), true for valid symbols
        """
        weight, bias = self.context_projection()
        projected_memory: Tensor | None = None
        if not self.training and memory.size(1) <= self.context_dim:
            projected_memory = F.linear(memory, weight, bias)
        return PreparedText(
            memory,
            self.attention_layer.memory_layer(memory),
            torch.zeros_like(memory[:, :, 0]).masked_fill(~mask, -float("inf")),
            self.attention_layer.location_layer.merge(),
            weight,
            bias,
            projected_memory,
            self.output_weight()[:, : self.decoder_rnn_dim],
        )

    def context_projection(self) -> tuple[Tensor, Tensor]:
        """Return `context_weight` and `context_bias` of `PreparedText`."""
        attention, decoder = self.attention_rnn, self.decoder_rnn
        weight = torch.cat(
            (
                attention.weight_ih[:, self.prenet_dim :],
                decoder.weight_ih[:, self.attention_rnn_dim :],
                self.output_weight()[:, self.decoder_rnn_dim :],
            )
        )
        # Attention weights sum to 1, so every step adds each bias exactly once.
        projection, gate = self.linear_projection.linear_layer, self.gate_layer.linear_layer
        bias = torch.cat(
            (attention.bias_ih + attention.bias_hh, decoder.bias_ih + decoder.bias_hh, projection.bias, gate.bias)
        )
        return weight, bias

    def output_weight(self) -> Tensor:
        """Return the weights of frames and gate: float, shape = (frames_dim + 1, decoder_rnn_dim + context_dim)."""
        return torch.cat((self.linear_projection.linear_layer.weight, self.gate_layer.linear_layer.weight))

    def initial_state(self, text: PreparedText) -> DecoderState:
        batch = text.memory.size(0)
        attention = text.memory.new_zeros(batch, self.attention_rnn_dim)
        decoder = text.memory.new_zeros(batch, self.decoder_rnn_dim)
        weights = torch.zeros_like(text.penalty)
        return DecoderState(
            attention, attention, decoder, decoder, weights, weights, text.context_bias.expand(batch, -1)
        )

    def project_prenet(self, prenet: Tensor) -> Tensor:
        """Return the prenet's term in the gates of the attention RNN: (..., prenet_dim) -> (..., gates)."""
        return F.linear(prenet, self.attention_rnn.weight_ih[:, : self.prenet_dim])

    def project_context(self, weights: Tensor, text: PreparedText) -> Tensor:
        """Return the terms of the context with these attention weights: float, shape = (batch, context_terms)."""
        projected_memory = text.projected_memory
        if projected_memory is not None:
            return torch.bmm(weights.unsqueeze(1), projected_memory).squeeze(1)
        context = torch.bmm(weights.unsqueeze(1), text.memory).squeeze(1)
        return F.linear(context, text.context_weight, text.context_bias)

    def step(self, inputs: Tensor, state: DecoderState, text: PreparedText) -> tuple[Tensor, Tensor, DecoderState]:
        """Decode one step.

        Parameters
        ----------
        inputs : float, shape = (batch, 4 * attention_rnn_dim), of `project_prenet`

        Returns
        -------
        frames : float, shape = (batch, frames_dim)
        gate : float, shape = (batch,), logit
        state : the next state
        """
        gates = inputs + state.context_terms[:, : inputs.size(1)]
        gates = torch.addmm(gates, state.attention_hidden, self.attention_rnn.weight_hh.t())
        attention_hidden, attention_cell = lstm(gates, state.attention_cell)
        attention_hidden = F.dropout(attention_hidden, self.p_attention_dropout, self.training)

        windows = self.attention_layer.location_layer.unfold(state.attention_weights, state.attention_weights_sum)
        weights = self.attention_layer(attention_hidden, text.keys, text.location, windows, text.penalty)
        terms = self.project_context(weights, text)

        gates, output = terms[:, inputs.size(1) :].split([4 * self.decoder_rnn_dim, self.frames_dim + 1], 1)
        gates = torch.addmm(gates, attention_hidden, self.decoder_rnn.weight_ih[:, : self.attention_rnn_dim].t())
        gates = torch.addmm(gates, state.decoder_hidden, self.decoder_rnn.weight_hh.t())
        decoder_hidden, decoder_cell = lstm(gates, state.decoder_cell)
        decoder_hidden = F.dropout(decoder_hidden, self.p_decoder_dropout, self.training)

        output = torch.addmm(output, decoder_hidden, text.output_weight.t())
        weights_sum = state.attention_weights_sum + weights
        state = DecoderState(
            attention_hidden, attention_cell, decoder_hidden, decoder_cell, weights, weights_sum, terms
        )
        return output[:, : self.frames_dim], output[:, self.frames_dim], state


def lstm(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the hidden and cell state of an LSTM from the sums at its gates.

    Parameters
    ----------
    gates : float, shape = (batch, 4 * size): input, forget, candidate, output
    cell : float, shape = (batch, size)

    Returns
    -------
    hidden, cell : float, shape = (batch, size)
    """
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, 1)
    cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(candidate)
    return torch.sigmoid(output_gate) * torch.tanh(cell), cell
