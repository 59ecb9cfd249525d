"""Tacotron 2, the step `tacotron2`: symbols -> log-mel frames. TorchScript can script `forward`.

It is the network of Shen et al., "Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions", 2017.
"""

import torch
from torch import Tensor, nn

from convai.networks.tacotron2.config import CONFIGS, Tacotron2Config
from convai.networks.tacotron2.decoder import DecodedFrames, Decoder
from convai.networks.tacotron2.encoder import Encoder
from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.postnet import Postnet

__all__ = ["CONFIGS", "Tacotron2", "Tacotron2Config", "example_inputs"]


class Tacotron2(nn.Module):
    def __init__(self, config: Tacotron2Config):
        super().__init__()
        self.n_symbols = config.n_symbols
        self.n_frames_per_step = config.n_frames_per_step
        self.max_decoder_steps = config.max_decoder_steps
        self.steps_per_symbol = config.steps_per_symbol
        self.extra_steps = config.extra_steps
        self.embedding = nn.Embedding(config.n_symbols, config.symbols_embedding_dim)
        nn.init.xavier_uniform_(self.embedding.weight)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.postnet = Postnet(config)

    def forward(self, symbol_ids: Tensor, symbols_length: Tensor) -> tuple[Tensor, Tensor]:
        """Synthesise the mels of texts. As in NVIDIA's network, the step whose gate fires is not part of the mel.

        Parameters
        ----------
        symbol_ids : int64, shape = (batch, symbols), zero past each row's length
        symbols_length : int32, shape = (batch, 1)

        Returns
        -------
        decoded_mel : float32, also of a network in FP16, shape = (batch, n_mel_channels, frames), zero past each row's
            length
        mel_length : int32, shape = (batch, 1)
        """
        self.check_symbols(symbol_ids, symbols_length)
        lengths = symbols_length.flatten().long()
        memory, mask = self.encode(symbol_ids, lengths)
        return self.finish(self.decoder(memory, mask, self.step_caps(lengths)))

    def finish(self, decoded: DecodedFrames) -> tuple[Tensor, Tensor]:
        """Apply the postnet, and return the outputs of `forward`."""
        # The postnet reads the frames of the step whose gate fired, as it does in training.
        decoded_frames = length_mask(decoded.decoded_steps * self.n_frames_per_step, decoded.mel.size(2))
        mel_length = decoded.mel_steps * self.n_frames_per_step
        mel = decoded.mel + self.postnet(decoded.mel, decoded_frames)
        valid = length_mask(mel_length, mel.size(2)).unsqueeze(1)
        return (mel * valid).float(), mel_length.unsqueeze(1).int()

    @torch.jit.export
    def teacher_forced(
        self, symbol_ids: Tensor, symbols_length: Tensor, mels: Tensor, mels_length: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predict each step from the given mel, for training.

        Parameters
        ----------
        symbol_ids, symbols_length : as in `forward`
        mels : float, shape = (batch, n_mel_channels, frames), frames a multiple of n_frames_per_step
        mels_length : int32, shape = (batch, 1)

        Returns
        -------
        decoded, mel : float, shape = (batch, n_mel_channels, frames), before and after the postnet, zero past each
            row's length
        gates : float, shape = (batch, steps), logits
        alignments : float, shape = (batch, steps, symbols), attention weights
        """
        if mels.size(2) % self.n_frames_per_step != 0:
            raise ValueError(f"mels: expected a multiple of {self.n_frames_per_step} frames, got {mels.size(2)}")
        memory, mask = self.encode(symbol_ids, symbols_length.flatten().long())
        decoded, gates, alignments = self.decoder.teacher_forced(memory, mask, mels)
        valid = length_mask(mels_length.flatten().long(), mels.size(2))
        columns = valid.unsqueeze(1)
        return decoded * columns, (decoded + self.postnet(decoded, valid)) * columns, gates, alignments

    def encode(self, symbol_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the memory and its mask. A row without symbols keeps one column, so that softmax has an input.

        Returns
        -------
        memory : float, shape = (batch, symbols, encoder_embedding_dim)
        mask : bool, shape = (batch, symbols)
        """
        lengths = lengths.clamp(min=1)
        mask = length_mask(lengths, symbol_ids.size(1))
        return self.encoder(self.embedding(symbol_ids), lengths, mask), mask

    def step_caps(self, lengths: Tensor) -> Tensor:
        """Return the most decoder steps of each row: int64, shape = (batch,), as `lengths`."""
        caps = (self.extra_steps + self.steps_per_symbol * lengths).clamp(max=self.max_decoder_steps)
        return caps * (lengths > 0)

    def check_symbols(self, symbol_ids: Tensor, symbols_length: Tensor):
        # An index out of range would end the whole process on a GPU.
        if symbol_ids.dim() != 2 or symbol_ids.numel() == 0:
            raise ValueError(f"symbol_ids: expected shape (batch, symbols), neither empty, got {symbol_ids.shape}")
        lowest, highest = int(symbol_ids.min()), int(symbol_ids.max())
        if lowest < 0 or highest >= self.n_symbols:
            raise ValueError(f"symbol_ids: expected 0 to {self.n_symbols - 1}, got {lowest} to {highest}")
        if symbols_length.numel() != symbol_ids.size(0):
            raise ValueError(f"symbols_length: expected {symbol_ids.size(0)} rows, got {symbols_length.numel()}")
        shortest, longest = int(symbols_length.min()), int(symbols_length.max())
        if shortest < 0 or longest > symbol_ids.size(1):
            raise ValueError(f"symbols_length: expected 0 to {symbol_ids.size(1)}, got {shortest} to {longest}")


def example_inputs(config: Tacotron2Config, batch: int, length: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw valid inputs of mixed length; the first row is full.

    Returns
    -------
    symbol_ids : int64, shape = (batch, length)
    symbols_length : int32, shape = (batch, 1)
    """
    generator = torch.Generator().manual_seed(seed)
    symbols_length = torch.randint(1, length + 1, (batch, 1), generator=generator, dtype=torch.int32)
    symbols_length[0] = length
    symbol_ids = torch.randint(1, config.n_symbols, (batch, length), generator=generator)
    return symbol_ids * length_mask(symbols_length.flatten(), length), symbols_length
