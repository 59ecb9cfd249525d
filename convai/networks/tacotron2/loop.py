"""Tacotron 2 as the part before its loop, one decoder step, and the part after it, for export as one ONNX file.

On a CPU, a step is so little work that 50 % of its time went into starting operators and fetching weights. This step
has as few operators as possible: weights whose products are summed lie in one matrix, and constant factors are
multiplied into the weights. Its outputs equal those of `DecoderStep`, from the same parameters.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.network import LoopParts, Tensors
from convai.networks.tacotron2.decoder import DecodedFrames
from convai.networks.tacotron2.decoder_step import lstm
from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.model import Tacotron2

BATCH = {0: "batch"}
SYMBOLS = {0: "batch", 2: "symbols"}


class LoopState(NamedTuple):
    """The state between two steps.

    Attributes
    ----------
    frames : float, shape = (batch, frames_dim), those of the last step
    attention_hidden, attention_cell : float, shape = (batch, attention_rnn_dim)
    decoder_hidden, decoder_cell : float, shape = (batch, decoder_rnn_dim)
    past : float, shape = (batch, 2, symbols), the last attention weights and their sum over all steps
    context_terms : float, shape = (batch, context_terms), as in `DecoderState`
    running : bool, shape = (batch,)
    mel_steps, decoded_steps : int64, shape = (batch,), as in `DecodedFrames`
    """

    frames: Tensor
    attention_hidden: Tensor
    attention_cell: Tensor
    decoder_hidden: Tensor
    decoder_cell: Tensor
    past: Tensor
    context_terms: Tensor
    running: Tensor
    mel_steps: Tensor
    decoded_steps: Tensor


class Opening(nn.Module):
    """Symbols -> the initial state, and the constants of all steps."""

    def __init__(self, network: Tacotron2):
        super().__init__()
        self.network = network

    def forward(self, symbol_ids: Tensor, symbols_length: Tensor) -> tuple[Tensors, Tensors]:
        """Encode the symbols.

        Parameters
        ----------
        symbol_ids : int64, shape = (batch, symbols)
        symbols_length : int32, shape = (batch, 1)

        Returns
        -------
        state : the tensors of a `LoopState`
        constants : keys, float, shape = (batch, attention_dim, symbols); penalty, float, shape = (batch, 1, symbols);
            projected memory, float, shape = (batch, symbols, context_terms); step caps, int64, shape = (batch,)
        """
        lengths = symbols_length.flatten().long()
        # Engines look up a negative id from the table's end, but refuse one past it: so invalid ids are mapped there.
        within = (lengths >= 0) & (lengths <= symbol_ids.size(1))
        symbol_ids = symbol_ids.where((symbol_ids >= 0) & within.unsqueeze(1), self.network.n_symbols)
        mask = length_mask(lengths.clamp(min=1), symbol_ids.size(1))
        memory = self.encode(symbol_ids, lengths.clamp(min=1), mask)
        decoder = self.network.decoder
        weight, bias = decoder.context_projection()
        keys = 2 * decoder.attention_layer.memory_layer(memory).transpose(1, 2)
        penalty = torch.zeros_like(memory[:, :, 0]).masked_fill(~mask, -float("inf")).unsqueeze(1)
        caps = self.network.step_caps(lengths)
        return self.initial_state(bias, penalty, caps), (keys, penalty, F.linear(memory, weight, bias), caps)

    def encode(self, symbol_ids: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Compute the memory of `Encoder`; the backward LSTM runs forward over rows reversed from their own end.

        Parameters
        ----------
        symbol_ids : int64, shape = (batch, symbols)
        lengths : int64, shape = (batch,)
        mask : bool, shape = (batch, symbols)

        Returns
        -------
        float, shape = (batch, symbols, encoder_embedding_dim)
        """
        encoder = self.network.encoder
        x = encoder.convolve(self.network.embedding(symbol_ids), mask)
        positions = torch.arange(x.size(1), device=x.device)
        reversed_positions = torch.where(mask, lengths.unsqueeze(1) - 1 - positions, positions).unsqueeze(2)
        forwards = self.run_lstm(x, "")
        backwards = self.run_lstm(x.gather(1, reversed_positions.expand(-1, -1, x.size(2))), "_reverse")
        backwards = backwards.gather(1, reversed_positions.expand(-1, -1, backwards.size(2)))
        return torch.cat((forwards, backwards), 2) * mask.unsqueeze(2)

    def run_lstm(self, x: Tensor, direction: str) -> Tensor:
        """Run one direction of the encoder's LSTM: (batch, symbols, dim) -> (batch, symbols, dim / 2)."""
        recurrent = self.network.encoder.lstm
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [getattr(recurrent, name + direction) for name in names]
        state = x.new_zeros(1, x.size(0), recurrent.hidden_size)
        return torch.lstm(x, (state, state), weights, True, 1, 0.0, False, False, True)[0]

    def initial_state(self, bias: Tensor, penalty: Tensor, caps: Tensor) -> Tensors:
        decoder, batch = self.network.decoder, penalty.size(0)
        no_weights = torch.zeros_like(penalty)
        return tuple(
            LoopState(
                frames=penalty.new_zeros(batch, decoder.frames_dim),
                attention_hidden=penalty.new_zeros(batch, decoder.attention_rnn_dim),
                attention_cell=penalty.new_zeros(batch, decoder.attention_rnn_dim),
                decoder_hidden=penalty.new_zeros(batch, decoder.decoder_rnn_dim),
                decoder_cell=penalty.new_zeros(batch, decoder.decoder_rnn_dim),
                past=torch.cat((no_weights, no_weights), 1),
                context_terms=bias.expand(batch, -1),
                running=caps > 0,
                mel_steps=torch.zeros_like(caps),
                decoded_steps=torch.zeros_like(caps),
            )
        )


class Turn(nn.Module):
    """One decoder step."""

    dropout_table: Tensor
    prenet_0: Tensor
    prenet_1: Tensor
    attention_rnn: Tensor
    decoder_rnn: Tensor
    query: Tensor
    location: Tensor
    energy: Tensor
    output: Tensor

    def __init__(self, network: Tacotron2):
        super().__init__()
        decoder = network.decoder
        attention, sizes = decoder.attention_layer, (decoder.attention_rnn_dim, decoder.decoder_rnn_dim)
        self.gate_threshold = decoder.gate_threshold
        self.term_sizes = [4 * sizes[0], 4 * sizes[1], decoder.frames_dim + 1]
        location = attention.location_layer
        weights = {
            "dropout_table": decoder.prenet.dropout_table,
            "prenet_0": decoder.prenet.layers[0].linear_layer.weight.t(),
            "prenet_1": decoder.prenet.layers[1].linear_layer.weight.t(),
            "attention_rnn": join_recurrent_weights(decoder.attention_rnn, decoder.prenet_dim),
            "decoder_rnn": join_recurrent_weights(decoder.decoder_rnn, decoder.attention_rnn_dim),
            # As in `Attention`, tanh(x) = 2 sigmoid(2 x) - 1; these and the keys include the factors of 2.
            "query": 2 * attention.query_layer.linear_layer.weight.t(),
            "location": 2 * location.merge().t().unflatten(1, (2, location.kernel_size)),
            "energy": 2 * attention.v.linear_layer.weight,
            "output": decoder.output_weight()[:, : decoder.decoder_rnn_dim].t(),
        }
        for name, weight in weights.items():
            self.register_buffer(name, weight.detach().clone().contiguous())

    def forward(self, index: Tensor, tensors: Tensors, constants: Tensors) -> tuple[Tensor, Tensors]:
        """Decode one step.

        Parameters
        ----------
        index : int64, shape = (), the number of the step
        tensors : those of a `LoopState`
        constants : those of `Opening`

        Returns
        -------
        goes_on : bool, shape = (), whether any row is still running
        tensors : those of the next `LoopState`
        """
        state, (keys, penalty, projected_memory, caps) = LoopState(*tensors), constants
        to_attention, _, _ = state.context_terms.split(self.term_sizes, 1)
        inputs = torch.cat((self.prenet(state.frames, self.dropout_table[index]), state.attention_hidden), 1)
        attention_hidden, attention_cell = lstm(to_attention + inputs @ self.attention_rnn, state.attention_cell)

        around = F.conv1d(state.past, self.location, padding=self.location.size(2) // 2)
        features = torch.sigmoid(around + keys + (attention_hidden @ self.query).unsqueeze(2))
        weights = torch.softmax(self.energy @ features + penalty, 2)
        terms = torch.bmm(weights, projected_memory).squeeze(1)

        _, to_decoder, to_output = terms.split(self.term_sizes, 1)
        inputs = torch.cat((attention_hidden, state.decoder_hidden), 1)
        decoder_hidden, decoder_cell = lstm(to_decoder + inputs @ self.decoder_rnn, state.decoder_cell)
        output = to_output + decoder_hidden @ self.output
        frames, gate = output.split([output.size(1) - 1, 1], 1)

        goes_on = state.running & (torch.sigmoid(gate).squeeze(1) <= self.gate_threshold)
        running = goes_on & (caps > index + 1)
        past = torch.cat((weights, state.past[:, 1:] + weights), 1)
        state = LoopState(
            frames,
            attention_hidden,
            attention_cell,
            decoder_hidden,
            decoder_cell,
            past,
            terms,
            running,
            mel_steps=state.mel_steps + goes_on,
            decoded_steps=state.decoded_steps + state.running,
        )
        return running.any(), tuple(state)

    def prenet(self, frames: Tensor, dropout: Tensor) -> Tensor:
        """Run the prenet: frames, shape = (batch, frames_dim), factors, shape = (2, prenet_dim)."""
        return F.relu(F.relu(frames @ self.prenet_0) * dropout[0] @ self.prenet_1) * dropout[1]


class Closing(nn.Module):
    """The frames of all steps -> the network's outputs."""

    def __init__(self, network: Tacotron2):
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, mel_steps: Tensor, decoded_steps: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the postnet.

        Parameters
        ----------
        frames : float, shape = (steps, batch, frames_dim)
        mel_steps, decoded_steps : int64, shape = (batch,), as in `DecodedFrames`

        Returns
        -------
        decoded_mel, mel_length : as of `Tacotron2.forward`
        """
        return self.network.finish(DecodedFrames(self.network.decoder.as_mel(frames), mel_steps, decoded_steps))


def join_recurrent_weights(cell: nn.LSTMCell, input_dim: int) -> Tensor:
    """Stack the weights of an LSTM's first input columns and of its last output: shape = (dim, gates)."""
    return torch.cat((cell.weight_ih[:, :input_dim], cell.weight_hh), 1).t()


def split_loop(network: Tacotron2) -> LoopParts:
    return LoopParts(
        Opening(network),
        Turn(network),
        Closing(network),
        state=dict.fromkeys(LoopState._fields, BATCH) | {"past": SYMBOLS},
        constants={"keys": SYMBOLS, "penalty": SYMBOLS, "projected_memory": {0: "batch", 1: "symbols"}, "caps": BATCH},
        collected="frames",
        closing_state=("mel_steps", "decoded_steps"),
    )
