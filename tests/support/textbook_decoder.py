"""Tacotron 2's decoder step as the papers write it, the reference for the network's own step."""

import torch
import torch.nn.functional as F
from torch import Tensor

from convai.networks.tacotron2.decoder import Decoder
from convai.networks.tacotron2.decoder_step import DecoderState, PreparedText


class TextbookDecoder(Decoder):
    """Computes every product but the attention keys at every step. `DecoderState.context_terms` holds the context."""

    def initial_state(self, text: PreparedText) -> DecoderState:
        batch = text.memory.size(0)
        attention = text.memory.new_zeros(batch, self.attention_rnn_dim)
        decoder = text.memory.new_zeros(batch, self.decoder_rnn_dim)
        weights = torch.zeros_like(text.penalty)
        context = text.memory.new_zeros(batch, self.context_dim)
        return DecoderState(attention, attention, decoder, decoder, weights, weights, context)

    def project_prenet(self, prenet: Tensor) -> Tensor:
        return prenet

    def step(self, inputs: Tensor, state: DecoderState, text: PreparedText) -> tuple[Tensor, Tensor, DecoderState]:
        attention_hidden, attention_cell = self.attention_rnn(
            torch.cat((inputs, state.context_terms), 1), (state.attention_hidden, state.attention_cell)
        )
        attention_hidden = F.dropout(attention_hidden, self.p_attention_dropout, self.training)
        weights = self.attend(attention_hidden, state, text)
        context = torch.bmm(weights.unsqueeze(1), text.memory).squeeze(1)
        decoder_hidden, decoder_cell = self.decoder_rnn(
            torch.cat((attention_hidden, context), 1), (state.decoder_hidden, state.decoder_cell)
        )
        decoder_hidden = F.dropout(decoder_hidden, self.p_decoder_dropout, self.training)
        features = torch.cat((decoder_hidden, context), 1)
        weights_sum = state.attention_weights_sum + weights
        state = DecoderState(
            attention_hidden, attention_cell, decoder_hidden, decoder_cell, weights, weights_sum, context
        )
        return self.linear_projection(features), self.gate_layer(features).squeeze(1), state

    def attend(self, query: Tensor, state: DecoderState, text: PreparedText) -> Tensor:
        layer = self.attention_layer
        past = torch.stack((state.attention_weights, state.attention_weights_sum), 1)
        location = layer.location_layer.location_dense(layer.location_layer.location_conv(past).transpose(1, 2))
        energies = layer.v(torch.tanh(layer.query_layer(query).unsqueeze(1) + location + text.keys)).squeeze(2)
        return torch.softmax(energies + text.penalty, dim=1)
