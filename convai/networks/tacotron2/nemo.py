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
OPTIONS = {
    "encoder": ("encoder_kernel_size", "encoder_n_convolutions", "encoder_embedding_dim"),
    "decoder": (
        *("attention_rnn_dim", "attention_dim", "attention_location_n_filters", "attention_location_kernel_size"),
        *("decoder_rnn_dim", "prenet_dim", "prenet_p_dropout", "p_attention_dropout", "p_decoder_dropout"),
        *("gate_threshold", "max_decoder_steps"),
    ),
    "postnet": ("postnet_embedding_dim", "postnet_kernel_size", "postnet_n_convolutions", "p_dropout"),
}
OUR_NAMES = {"prenet_p_dropout": "p_prenet_dropout", "p_dropout": "p_postnet_dropout"}  # where they differ
CLASSES = {"encoder": "Encoder", "decoder": "Decoder", "postnet": "Postnet"}
FIXED = {"n_mel_channels": NUM_MELS, "n_frames_per_step": 1}
# A row always ends when its gate fires; the encoder's width is checked as the shape of the decoder's weights.
IGNORED = ("early_stopping", "encoder_embedding_dim")


def read(archive: NemoArchive) -> Converted:
    check_voice(archive)
    symbols, count = read_symbols(archive.config)
    options = {name: value for part in OPTIONS for name, value in read_part(archive, part).items()}
    config = Tacotron2Config(
        n_symbols=count, symbols_embedding_dim=options["encoder_embedding_dim"], symbols=symbols, **options
    )
    tensors = add_batch_counts(rename(archive.tensors, RENAMES))
    return Converted(f"{archive.toolkit}, Tacotron 2", config, tensors)


def read_part(archive: NemoArchive, part: str) -> dict[str, Any]:
    """Return the options of one part under our names; an absent dropout has NeMo's default, which is ours too."""
    options = read_section(archive.config, part, CLASSES[part])
    check_options(part, options, FIXED, (*OPTIONS[part], *IGNORED))
    values: dict[str, Any] = {}
    for name in OPTIONS[part]:
        if "dropout" in name or name == "gate_threshold":
            if name in options or "dropout" not in name:
                values[OUR_NAMES.get(name, name)] = read_number(part, options, name)
        else:
            values[name] = read_integer(part, options, name)
    return values
