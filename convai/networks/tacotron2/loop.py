"""Tacotron 2 as what stands before its loop, one decoder step, and what stands after it: made to be one ONNX file.

On a processor a step is so little work that half of its time went into starting operators and fetching weights. So a
step here takes as few of them as it can: the weights of what is added up lie in one matrix, and factors that stay the
same are multiplied into the weights beforehand. It answers what `DecoderStep` answers, from the same parameters.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.export.onnx_loop import LoopParts
from convai.networks.tacotron2.decoder import DecodedFrames
from convai.networks.tacotron2.decoder_step import lstm
from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.model import Tacotron2

Tensors = tuple[Tensor, ...]

BATCH = {0: "batch"}
SYMBOLS = {0: "batch", 2: "symbols"}


class LoopState(NamedTuple):
    """What one step hands to the next; the first axis of each tensor is the batch.

    Attributes
    ----------
    frames : float, shape = (batch, frames_dim), the last that were written
    past : float, shape = (batch, 2, symbols), the last attention weights and their sum over all steps
    read : float, shape = (batch, size of a reading), what the symbols add to the next step
    running : bool, shape = (batch,)
    mel_steps, decoded_steps : int64, shape = (batch,), as in `DecodedFrames`
    """

    frames: Tensor
    attention_hidden: Tensor
    attention_cell: Tensor
    decoder_hidden: Tensor
    decoder_cell: Tensor
    past: Tensor
    read: Tensor
    running: Tensor
    mel_steps: Tensor
    decoded_steps: Tensor


class Opening(nn.Module):
    """Symbols -> the state before the first step, and what all steps see of the text."""

    def __init__(self, network: Tacotron2):
        super().__init__()
        self.network = network

    def forward(self, symbol_ids: Tensor, symbols_length: Tensor) -> tuple[Tensors, Tensors]:
        lengths = symbols_length.flatten().long()
        # An engine looks a negative id up from the table's end, but refuses to look past it: so all that is wrong goes
        # there.
        within = (lengths >= 0) & (lengths <= symbol_ids.size(1))
        symbol_ids = symbol_ids.where((symbol_ids >= 0) & within.unsqueeze(1), self.network.n_symbols)
        mask = length_mask(lengths.clamp(min=1), symbol_ids.size(1))
        memory = self.encode(symbol_ids, lengths.clamp(min=1), mask)
        decoder = self.network.decoder
        weight, bias = decoder.reading()
        keys = 2 * decoder.attention_layer.memory_layer(memory).transpose(1, 2)
        penalty = torch.zeros_like(memory[:, :, 0]).masked_fill(~mask, -float("inf")).unsqueeze(1)
        caps = self.network.step_caps(lengths)
        return self.state(bias, penalty, caps), (keys, penalty, F.linear(memory, weight, bias), caps)

    def encode(self, symbol_ids: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """The memory, as the encoder makes it: both directions are read forwards, one from each row's own end."""
        encoder = self.network.encoder
        x = encoder.convolve(self.network.embedding(symbol_ids), mask)
        places = torch.arange(x.size(1), device=x.device)
        turned = torch.where(mask, lengths.unsqueeze(1) - 1 - places, places).unsqueeze(2)
        there = self.read(x, "")
        back = self.read(x.gather(1, turned.expand(-1, -1, x.size(2))), "_reverse")
        back = back.gather(1, turned.expand(-1, -1, back.size(2)))
        return torch.cat((there, back), 2) * mask.unsqueeze(2)

    def read(self, x: Tensor, direction: str) -> Tensor:
        recurrent = self.network.encoder.lstm
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [getattr(recurrent, name + direction) for name in names]
        rest = x.new_zeros(1, x.size(0), recurrent.hidden_size)
        return torch.lstm(x, (rest, rest), weights, True, 1, 0.0, False, False, True)[0]

    def state(self, bias: Tensor, penalty: Tensor, caps: Tensor) -> Tensors:
        decoder, batch = self.network.decoder, penalty.size(0)
        nothing = torch.zeros_like(penalty)
        return tuple(
            LoopState(
                frames=penalty.new_zeros(batch, decoder.frames_dim),
                attention_hidden=penalty.new_zeros(batch, decoder.attention_rnn_dim),
                attention_cell=penalty.new_zeros(batch, decoder.attention_rnn_dim),
                decoder_hidden=penalty.new_zeros(batch, decoder.decoder_rnn_dim),
                decoder_cell=penalty.new_zeros(batch, decoder.decoder_rnn_dim),
                past=torch.cat((nothing, nothing), 1),
                read=bias.expand(batch, -1),
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
        self.reading_sizes = [4 * sizes[0], 4 * sizes[1], decoder.frames_dim + 1]
        location = attention.location_layer
        weights = {
            "dropout_table": decoder.prenet.dropout_table,
            "prenet_0": decoder.prenet.layers[0].linear_layer.weight.t(),
            "prenet_1": decoder.prenet.layers[1].linear_layer.weight.t(),
            "attention_rnn": recurrent_weight(decoder.attention_rnn, decoder.prenet_dim),
            "decoder_rnn": recurrent_weight(decoder.decoder_rnn, decoder.attention_rnn_dim),
            # As in `Attention`, tanh(x) = 2 sigmoid(2 x) - 1; the factors of 2 are in these and in the keys.
            "query": 2 * attention.query_layer.linear_layer.weight.t(),
            "location": 2 * location.merged().t().unflatten(1, (2, location.kernel_size)),
            "energy": 2 * attention.v.linear_layer.weight,
            "output": decoder.output_weight()[:, : decoder.decoder_rnn_dim].t(),
        }
        for name, weight in weights.items():
            self.register_buffer(name, weight.detach().clone().contiguous())

    def forward(self, index: Tensor, tensors: Tensors, constants: Tensors) -> tuple[Tensor, Tensors]:
        state, (keys, penalty, readings, caps) = LoopState(*tensors), constants
        to_attention, _, _ = state.read.split(self.reading_sizes, 1)
        inputs = torch.cat((self.prenet(state.frames, self.dropout_table[index]), state.attention_hidden), 1)
        attention_hidden, attention_cell = lstm(to_attention + inputs @ self.attention_rnn, state.attention_cell)

        around = F.conv1d(state.past, self.location, padding=self.location.size(2) // 2)
        features = torch.sigmoid(around + keys + (attention_hidden @ self.query).unsqueeze(2))
        weights = torch.softmax(self.energy @ features + penalty, 2)
        read = torch.bmm(weights, readings).squeeze(1)

        _, to_decoder, to_output = read.split(self.reading_sizes, 1)
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
            read,
            running,
            mel_steps=state.mel_steps + goes_on,
            decoded_steps=state.decoded_steps + state.running,
        )
        return running.any(), tuple(state)

    def prenet(self, frames: Tensor, dropout: Tensor) -> Tensor:
        return F.relu(F.relu(frames @ self.prenet_0) * dropout[0] @ self.prenet_1) * dropout[1]


class Closing(nn.Module):
    """Frames of all steps -> the network's outputs."""

    def __init__(self, network: Tacotron2):
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, mel_steps: Tensor, decoded_steps: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.finish(DecodedFrames(self.network.decoder.as_mel(frames), mel_steps, decoded_steps))


def recurrent_weight(cell: nn.LSTMCell, input_dim: int) -> Tensor:
    """What an LSTM's own input and its last output are multiplied with, one above the other: (dim, gates)."""
    return torch.cat((cell.weight_ih[:, :input_dim], cell.weight_hh), 1).t()


def parts(network: Tacotron2) -> LoopParts:
    return LoopParts(
        Opening(network),
        Turn(network),
        Closing(network),
        state=dict.fromkeys(LoopState._fields, BATCH) | {"past": SYMBOLS},
        constants={"keys": SYMBOLS, "penalty": SYMBOLS, "readings": {0: "batch", 1: "symbols"}, "caps": BATCH},
        collected="frames",
        closing_state=("mel_steps", "decoded_steps"),
    )
