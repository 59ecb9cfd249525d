"""Reads Tacotron 2 as NVIDIA NeMo stores it, from a Tacotron2Model."""

from typing import Any

from convai.description.pipeline import NUM_MELS
from convai.networks.checkpoints.nemo_archive import NemoArchive
from convai.networks.checkpoints.nemo_options import (
    VOICE_PREPROCESSOR,
    check_options,
    check_voice,
    read_integer,
    read_number,
    read_section,
)
from convai.networks.checkpoints.renames import Converted, RenameTable, rename
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.convert import add_batch_counts
from convai.networks.tacotron2.nemo_symbols import read_symbols

RENAMES: RenameTable = (
    (rf"^{VOICE_PREPROCESSOR}\.", None),
    (r"^text_embedding\.", "embedding."),
)
# Per part, NeMo's options and our names for them.
PARTS = {
    "encoder": {
        "encoder_kernel_size": "encoder_kernel_size",
        "encoder_n_convolutions": "encoder_n_convolutions",
        "encoder_embedding_dim": "encoder_embedding_dim",
    },
    "decoder": {
        "attention_rnn_dim": "attention_rnn_dim",
        "attention_dim": "attention_dim",
        "attention_location_n_filters": "attention_location_n_filters",
        "attention_location_kernel_size": "attention_location_kernel_size",
        "decoder_rnn_dim": "decoder_rnn_dim",
        "prenet_dim": "prenet_dim",
        "prenet_p_dropout": "p_prenet_dropout",
        "p_attention_dropout": "p_attention_dropout",
        "p_decoder_dropout": "p_decoder_dropout",
        "gate_threshold": "gate_threshold",
        "max_decoder_steps": "max_decoder_steps",
    },
    "postnet": {
        "postnet_embedding_dim": "postnet_embedding_dim",
        "postnet_kernel_size": "postnet_kernel_size",
        "postnet_n_convolutions": "postnet_n_convolutions",
        "p_dropout": "p_postnet_dropout",
    },
}
NUMBERS = ("gate_threshold",)
CLASSES = {"encoder": "Encoder", "decoder": "Decoder", "postnet": "Postnet"}
FIXED = {"n_mel_channels": NUM_MELS, "n_frames_per_step": 1}
# A row always ends when its gate fires; the encoder's width is checked as the shape of the decoder's weights.
IGNORED = ("early_stopping", "encoder_embedding_dim")


def read(archive: NemoArchive) -> Converted:
    check_voice(archive)
    symbols, count = read_symbols(archive.config)
    options = {name: value for part in PARTS for name, value in read_part(archive, part).items()}
    config = Tacotron2Config(
        n_symbols=count, symbols_embedding_dim=options["encoder_embedding_dim"], symbols=symbols, **options
    )
    tensors = add_batch_counts(rename(archive.tensors, RENAMES))
    return Converted(f"{archive.toolkit}, Tacotron 2", config, tensors)


def read_part(archive: NemoArchive, part: str) -> dict[str, Any]:
    """Return the options of one part under our names; an absent dropout has NeMo's default, which is ours too."""
    options = read_section(archive.config, part, CLASSES[part])
    check_options(part, options, FIXED, (*PARTS[part], *IGNORED))
    named = {ours: name for name, ours in PARTS[part].items() if name in options or "dropout" not in name}
    return {
        ours: read_number(part, options, name)
        if "dropout" in name or name in NUMBERS
        else read_integer(part, options, name)
        for ours, name in named.items()
    }
