"""Tacotron 2's decoder: reads the memory with attention and writes mel frames, step by step, until the gate closes."""

from typing import List, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.tacotron2.attention import Attention, EncodedText
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import LinearNorm

# Before training no gate fires by chance, so a random network runs to its step cap.
UNTRAINED_GATE_LOGIT = -3.0


class DecoderState(NamedTuple):
    """What one decoder step hands to the next; the first axis of each tensor is the batch."""

    attention_hidden: Tensor
    attention_cell: Tensor
    decoder_hidden: Tensor
    decoder_cell: Tensor
    attention_context: Tensor
    attention_weights: Tensor
    attention_weights_sum: Tensor


class DecodedFrames(NamedTuple):
    """
    mel : float, shape = (batch, n_mel_channels, frames)
    mel_steps : int64, shape = (batch,), steps before the one whose gate fired
    decoded_steps : int64, shape = (batch,), the same with the step whose gate fired
    """

    mel: Tensor
    mel_steps: Tensor
    decoded_steps: Tensor


class Prenet(nn.Module):
    """Two layers whose dropout never rests: it keeps the decoder from merely copying its last frame."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        in_dim = config.n_mel_channels * config.n_frames_per_step
        self.p_dropout = config.p_prenet_dropout
        self.layers = nn.ModuleList(
            LinearNorm(dim, config.prenet_dim, bias=False) for dim in (in_dim, config.prenet_dim)
        )
        self.register_buffer("dropout_table", dropout_table(config), persistent=False)

    def forward(self, frames: Tensor, step: int) -> Tensor:
        """The inference of one step; a result depends on its request alone because the table is fixed."""
        for i, layer in enumerate(self.layers):
            frames = F.relu(layer(frames)) * self.dropout_table[step, i]
        return frames

    def teacher_forced(self, frames: Tensor) -> Tensor:
        for layer in self.layers:
            frames = F.dropout(F.relu(layer(frames)), self.p_dropout, training=True)
        return frames


def dropout_table(config: Tacotron2Config) -> Tensor:
    """Factors of the prenet's units: float32, shape = (max_decoder_steps, 2, prenet_dim), zero where one is dropped."""
    generator = torch.Generator().manual_seed(config.prenet_dropout_seed)
    draws = torch.rand(config.max_decoder_steps, 2, config.prenet_dim, generator=generator, device="cpu")
    return (draws >= config.p_prenet_dropout).float() / (1 - config.p_prenet_dropout)


class Decoder(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        self.n_mel_channels = config.n_mel_channels
        self.frames_dim = config.n_mel_channels * config.n_frames_per_step
        self.attention_rnn_dim = config.attention_rnn_dim
        self.decoder_rnn_dim = config.decoder_rnn_dim
        self.gate_threshold = config.gate_threshold
        self.p_attention_dropout = config.p_attention_dropout
        self.p_decoder_dropout = config.p_decoder_dropout
        context_dim = config.encoder_embedding_dim
        self.prenet = Prenet(config)
        self.attention_rnn = nn.LSTMCell(config.prenet_dim + context_dim, config.attention_rnn_dim)
        self.attention_layer = Attention(config)
        self.decoder_rnn = nn.LSTMCell(config.attention_rnn_dim + context_dim, config.decoder_rnn_dim)
        self.linear_projection = LinearNorm(config.decoder_rnn_dim + context_dim, self.frames_dim)
        self.gate_layer = LinearNorm(config.decoder_rnn_dim + context_dim, 1, gain="sigmoid")
        nn.init.constant_(self.gate_layer.linear_layer.bias, UNTRAINED_GATE_LOGIT)

    def encoded_text(self, memory: Tensor, mask: Tensor) -> EncodedText:
        return EncodedText(memory, self.attention_layer.memory_layer(memory), ~mask)

    def initial_state(self, memory: Tensor) -> DecoderState:
        batch, symbols, context_dim = memory.shape
        attention = memory.new_zeros(batch, self.attention_rnn_dim)
        decoder = memory.new_zeros(batch, self.decoder_rnn_dim)
        weights = memory.new_zeros(batch, symbols)
        context = memory.new_zeros(batch, context_dim)
        return DecoderState(attention, attention, decoder, decoder, context, weights, weights)

    def step(self, prenet: Tensor, state: DecoderState, text: EncodedText) -> tuple[Tensor, Tensor, DecoderState]:
        """
        prenet : float, shape = (batch, prenet_dim)

        Returns the frames, shape = (batch, n_frames_per_step * n_mel_channels), the gate's logit, shape = (batch,),
        and the next state.
        """
        attention_hidden, attention_cell = self.attention_rnn(
            torch.cat((prenet, state.attention_context), 1), (state.attention_hidden, state.attention_cell)
        )
        attention_hidden = F.dropout(attention_hidden, self.p_attention_dropout, self.training)
        past_weights = torch.stack((state.attention_weights, state.attention_weights_sum), 1)
        context, weights = self.attention_layer(attention_hidden, text, past_weights)
        decoder_hidden, decoder_cell = self.decoder_rnn(
            torch.cat((attention_hidden, context), 1), (state.decoder_hidden, state.decoder_cell)
        )
        decoder_hidden = F.dropout(decoder_hidden, self.p_decoder_dropout, self.training)
        features = torch.cat((decoder_hidden, context), 1)
        weights_sum = state.attention_weights_sum + weights
        next_state = DecoderState(
            attention_hidden, attention_cell, decoder_hidden, decoder_cell, context, weights, weights_sum
        )
        return self.linear_projection(features), self.gate_layer(features).squeeze(1), next_state

    def forward(self, memory: Tensor, mask: Tensor, step_caps: Tensor) -> DecodedFrames:
        """
        memory : float, shape = (batch, symbols, encoder_embedding_dim)
        mask : bool, shape = (batch, symbols), true where a symbol is valid
        step_caps : int64, shape = (batch,), the steps a row may take; 0 for a row without symbols
        """
        text = self.encoded_text(memory, mask)
        state = self.initial_state(memory)
        frames = memory.new_zeros(memory.size(0), self.frames_dim)
        steps: List[Tensor] = []
        running = step_caps > 0
        mel_steps, decoded_steps = torch.zeros_like(step_caps), torch.zeros_like(step_caps)
        while len(steps) == 0 or bool(running.any()):
            frames, gate, state = self.step(self.prenet(frames, len(steps)), state, text)
            steps.append(frames)
            decoded_steps += running
            running = running & (torch.sigmoid(gate) <= self.gate_threshold)
            mel_steps += running
            running = running & (step_caps > len(steps))
        return DecodedFrames(self.as_mel(steps), mel_steps, decoded_steps)

    def teacher_forced(self, memory: Tensor, mask: Tensor, mels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the mel, shape = (batch, n_mel_channels, frames), the gate's logits, shape = (batch, steps), and
        the attention weights, shape = (batch, steps, symbols), when each step sees the given mel's last frames."""
        text = self.encoded_text(memory, mask)
        state = self.initial_state(memory)
        given = mels.transpose(1, 2).reshape(mels.size(0), -1, self.frames_dim).transpose(0, 1)
        prenet = self.prenet.teacher_forced(torch.cat((torch.zeros_like(given[:1]), given[:-1])))
        steps: List[Tensor] = []
        gates: List[Tensor] = []
        alignments: List[Tensor] = []
        for prenet_step in prenet.unbind(0):
            frames, gate, state = self.step(prenet_step, state, text)
            steps.append(frames)
            gates.append(gate)
            alignments.append(state.attention_weights)
        return self.as_mel(steps), torch.stack(gates, 1), torch.stack(alignments, 1)

    def as_mel(self, steps: List[Tensor]) -> Tensor:
        """Frames of all steps in their order: float, shape = (batch, n_mel_channels, frames)."""
        frames = torch.stack(steps, 1).reshape(steps[0].size(0), -1, self.n_mel_channels)
        return frames.transpose(1, 2)
