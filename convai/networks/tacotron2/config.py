"""Sizes of Tacotron 2, under the names of NVIDIA's checkpoints, and the options of its inference."""

from dataclasses import dataclass

from convai.description.pipeline import NUM_MELS
from convai.errors import InvalidArgument
from convai.networks.config_checks import check_fields
from convai.text.symbols import NVIDIA_SYMBOLS, SymbolTable

ODD_SIZES = ("encoder_kernel_size", "attention_location_kernel_size", "postnet_kernel_size")
PROBABILITIES = (
    "p_encoder_dropout",
    "p_prenet_dropout",
    "p_attention_dropout",
    "p_decoder_dropout",
    "p_postnet_dropout",
)


@dataclass(frozen=True)
class Tacotron2Config:
    """Sizes default to NVIDIA's LJSpeech network; durations are in decoder steps.

    A row takes at most `extra_steps + steps_per_symbol * symbols_length` steps, and at most `max_decoder_steps`. The
    prenet's dropout is always on; at inference it comes from a table drawn with `prenet_dropout_seed`. `symbols` is for
    the step `text_encoder`.
    """

    n_symbols: int = 148
    symbols_embedding_dim: int = 512
    encoder_kernel_size: int = 5
    encoder_n_convolutions: int = 3
    encoder_embedding_dim: int = 512
    attention_rnn_dim: int = 1024
    attention_dim: int = 128
    attention_location_n_filters: int = 32
    attention_location_kernel_size: int = 31
    n_mel_channels: int = NUM_MELS
    n_frames_per_step: int = 1
    decoder_rnn_dim: int = 1024
    prenet_dim: int = 256
    postnet_embedding_dim: int = 512
    postnet_kernel_size: int = 5
    postnet_n_convolutions: int = 5
    p_encoder_dropout: float = 0.5
    p_prenet_dropout: float = 0.5
    p_attention_dropout: float = 0.1
    p_decoder_dropout: float = 0.1
    p_postnet_dropout: float = 0.5
    gate_threshold: float = 0.5
    max_decoder_steps: int = 2000
    steps_per_symbol: int = 14
    extra_steps: int = 80
    prenet_dropout_seed: int = 0
    symbols: SymbolTable = NVIDIA_SYMBOLS

    def __post_init__(self):
        check_fields(
            self,
            odd=ODD_SIZES,
            even=("encoder_embedding_dim",),  # two directions
            probabilities=PROBABILITIES,
            zero=("extra_steps",),
            seeds=("prenet_dropout_seed",),
        )
        if not 0 < self.gate_threshold < 1:
            raise InvalidArgument(f"gate_threshold: expected above 0 and below 1, got {self.gate_threshold}")
        if self.symbols_embedding_dim != self.encoder_embedding_dim:
            raise InvalidArgument(
                f"symbols_embedding_dim: expected encoder_embedding_dim ({self.encoder_embedding_dim}), "
                f"got {self.symbols_embedding_dim}"
            )
        if self.postnet_n_convolutions < 2:
            raise InvalidArgument(f"postnet_n_convolutions: expected at least 2, got {self.postnet_n_convolutions}")


CONFIGS = {
    "mini": Tacotron2Config(
        symbols_embedding_dim=192,
        encoder_embedding_dim=192,
        attention_rnn_dim=256,
        n_frames_per_step=3,
        decoder_rnn_dim=256,
        prenet_dim=128,
        postnet_embedding_dim=144,
        max_decoder_steps=1000,
        steps_per_symbol=5,
        extra_steps=30,
    ),
    "tacotron2": Tacotron2Config(),
}
