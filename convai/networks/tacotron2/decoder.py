"""Tacotron 2's decoder: attends to the memory and emits mel frames, step by step, until the gate fires."""

from typing import NamedTuple

import torch
from torch import Tensor

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.decoder_step import DecoderStep
from convai.networks.tacotron2.prenet import Prenet


class DecodedFrames(NamedTuple):
    """The decoder's output before the postnet.

    Attributes
    ----------
    mel : float, shape = (batch, n_mel_channels, frames)
    mel_steps : int64, shape = (batch,), steps before the one whose gate fired
    decoded_steps : int64, shape = (batch,), steps including that one
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
        """Decode until every row's gate has fired or its cap is reached.

        Parameters
        ----------
        memory : float, shape = (batch, symbols, encoder_embedding_dim)
        mask : bool, shape = (batch, symbols), true for valid symbols
        step_caps : int64, shape = (batch,), the most steps of each row; 0 for a row without symbols
        """
        text = self.prepare(memory, mask)
        state = self.initial_state(text)
        frames = memory.new_zeros(memory.size(0), self.frames_dim)
        steps: list[Tensor] = []
        running = step_caps > 0
        mel_steps, decoded_steps = torch.zeros_like(step_caps), torch.zeros_like(step_caps)
        while len(steps) == 0 or bool(running.any()):
            inputs = self.project_prenet(self.prenet(frames, len(steps)))
            frames, gate, state = self.step(inputs, state, text)
            steps.append(frames)
            decoded_steps += running
            running = running & (torch.sigmoid(gate) <= self.gate_threshold)
            mel_steps += running
            running = running & (step_caps > len(steps))
        return DecodedFrames(self.as_mel(torch.stack(steps)), mel_steps, decoded_steps)

    def teacher_forced(self, memory: Tensor, mask: Tensor, mels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decode with the given mel's frames as the input of each step.

        Parameters
        ----------
        memory, mask : as in `forward`
        mels : float, shape = (batch, n_mel_channels, frames)

        Returns
        -------
        mel : float, shape = (batch, n_mel_channels, frames)
        gates : float, shape = (batch, steps), logits
        alignments : float, shape = (batch, steps, symbols), attention weights
        """
        text = self.prepare(memory, mask)
        state = self.initial_state(text)
        targets = mels.transpose(1, 2).reshape(mels.size(0), -1, self.frames_dim).transpose(0, 1)
        earlier = torch.cat((torch.zeros_like(targets[:1]), targets[:-1]))
        inputs = self.project_prenet(self.prenet.teacher_forced(earlier))
        steps: list[Tensor] = []
        gates: list[Tensor] = []
        alignments: list[Tensor] = []
        for inputs_of_step in inputs.unbind(0):
            frames, gate, state = self.step(inputs_of_step, state, text)
            steps.append(frames)
            gates.append(gate)
            alignments.append(state.attention_weights)
        return self.as_mel(torch.stack(steps)), torch.stack(gates, 1), torch.stack(alignments, 1)

    def as_mel(self, steps: Tensor) -> Tensor:
        """Reorder (steps, batch, frames_dim) to (batch, n_mel_channels, frames)."""
        return steps.transpose(0, 1).reshape(steps.size(1), -1, self.n_mel_channels).transpose(1, 2)
