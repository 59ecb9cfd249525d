"""Tacotron 2's encoder: embedded symbols -> the memory that the decoder attends to."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.layers import normalised_convolution


class Encoder(nn.Module):
    """Convolutions over the symbols, then a bidirectional LSTM; padding influences neither."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        dim = config.encoder_embedding_dim
        self.p_dropout = config.p_encoder_dropout
        self.convolutions = nn.ModuleList(
            normalised_convolution(dim, dim, config.encoder_kernel_size, gain="relu")
            for _ in range(config.encoder_n_convolutions)
        )
        self.lstm = nn.LSTM(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, embedded: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Compute the memory.

        Parameters
        ----------
        embedded : float, shape = (batch, symbols, encoder_embedding_dim)
        lengths : int64, shape = (batch,), each at least 1
        mask : bool, shape = (batch, symbols), true for valid symbols

        Returns
        -------
        float, shape = (batch, symbols, encoder_embedding_dim), zero past each row's length
        """
        x = self.convolve(embedded, mask)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        memory, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=embedded.size(1))
        return memory

    def convolve(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Apply the convolutions: float, shape = (batch, symbols, encoder_embedding_dim), as `embedded`."""
        x = embedded.transpose(1, 2)
        columns = mask.unsqueeze(1)
        for convolution in self.convolutions:
            x = F.dropout(F.relu(convolution(x * columns)), self.p_dropout, self.training)
        return x.transpose(1, 2)
