"""Tacotron 2's decoder: reads the memory with attention and writes mel frames, step by step, until the gate closes."""

from typing import NamedTuple

import torch
from torch import Tensor

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.decoder_step import DecoderStep
from convai.networks.tacotron2.prenet import Prenet


class DecodedFrames(NamedTuple):
    """
    Attributes
    ----------
    mel : float, shape = (batch, n_mel_channels, frames)
    mel_steps : int64, shape = (batch,), steps before the one whose gate fired
    decoded_steps : int64, shape = (batch,), the same with the step whose gate fired
    """

    mel: Tensor
    mel_steps: Tensor
    decoded_steps: Tensor


class Decoder(DecoderStep):
    def __init__(self, config: Tacotron2Config):
        super().__init__(config)
        self.n_mel_channels = config.n_mel_channels
        self.gate_threshold = config.gate_threshold
        self.prenet = Prenet(config)

    def forward(self, memory: Tensor, mask: Tensor, step_caps: Tensor) -> DecodedFrames:
        """
        Parameters
        ----------
        memory : float, shape = (batch, symbols, encoder_embedding_dim)
        mask : bool, shape = (batch, symbols), true where a symbol is valid
        step_caps : int64, shape = (batch,), the steps a row may take; 0 for a row without symbols
        """
        text = self.prepare(memory, mask)
        state = self.initial_state(text)
        frames = memory.new_zeros(memory.size(0), self.frames_dim)
        steps: list[Tensor] = []
        running = step_caps > 0
        mel_steps, decoded_steps = torch.zeros_like(step_caps), torch.zeros_like(step_caps)
        while len(steps) == 0 or bool(running.any()):
            seen = self.see(self.prenet(frames, len(steps)))
            frames, gate, state = self.step(seen, state, text)
            steps.append(frames)
            decoded_steps += running
            running = running & (torch.sigmoid(gate) <= self.gate_threshold)
            mel_steps += running
            running = running & (step_caps > len(steps))
        return DecodedFrames(self.as_mel(torch.stack(steps)), mel_steps, decoded_steps)

    def teacher_forced(self, memory: Tensor, mask: Tensor, mels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the mel, shape = (batch, n_mel_channels, frames), the gate's logits, shape = (batch, steps), and
        the attention weights, shape = (batch, steps, symbols), when each step sees the given mel's last frames."""
        text = self.prepare(memory, mask)
        state = self.initial_state(text)
        given = mels.transpose(1, 2).reshape(mels.size(0), -1, self.frames_dim).transpose(0, 1)
        seen = self.see(self.prenet.teacher_forced(torch.cat((torch.zeros_like(given[:1]), given[:-1]))))
        steps: list[Tensor] = []
        gates: list[Tensor] = []
        alignments: list[Tensor] = []
        for seen_at_step in seen.unbind(0):
            frames, gate, state = self.step(seen_at_step, state, text)
            steps.append(frames)
            gates.append(gate)
            alignments.append(state.attention_weights)
        return self.as_mel(torch.stack(steps)), torch.stack(gates, 1), torch.stack(alignments, 1)

    def as_mel(self, steps: Tensor) -> Tensor:
        """Frames, shape = (steps, batch, frames_dim), in their order: shape = (batch, n_mel_channels, frames)."""
        return steps.transpose(0, 1).reshape(steps.size(1), -1, self.n_mel_channels).transpose(1, 2)
