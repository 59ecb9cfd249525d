"""Reads Tacotron 2 as NVIDIA NeMo stores it, from a Tacotron2Model."""

from typing import Any

from convai.description.pipeline import NUM_MELS
from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_archive import NemoArchive
from convai.networks.checkpoints.nemo_options import brief, check, number_of, section, whole
from convai.networks.checkpoints.nemo_voice import PREPROCESSOR, check_voice
from convai.networks.checkpoints.renames import Reading, RenameTable, rename
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.convert import with_batch_counts
from convai.networks.tacotron2.nemo_symbols import symbols_of

RENAMES: RenameTable = (
    (rf"^{PREPROCESSOR}\.", None),
    (r"^text_embedding\.", "embedding."),
)
# Per part, how the options of NeMo are called here.
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
# A row always ends when its gate fires; what the decoder reads is checked against what the encoder writes.
WITHOUT_MEANING = ("early_stopping", "encoder_embedding_dim")


def read(archive: NemoArchive) -> Reading:
    check_voice(archive)
    symbols, count = symbols_of(archive.config)
    options = {name: value for part in PARTS for name, value in options_of(archive, part).items()}
    config = Tacotron2Config(
        n_symbols=count, symbols_embedding_dim=options["encoder_embedding_dim"], symbols=symbols, **options
    )
    tensors = with_batch_counts(rename(archive.tensors, RENAMES))
    return Reading(f"{archive.toolkit}, Tacotron 2", config, tensors)


def options_of(archive: NemoArchive, part: str) -> dict[str, Any]:
    """The options of one part under our names. Without a dropout NeMo's own default counts, which is ours."""
    options = section(archive.config, part, CLASSES[part])
    check(part, options, FIXED, (*PARTS[part], *WITHOUT_MEANING))
    named = {ours: name for name, ours in PARTS[part].items() if name in options or "dropout" not in name}
    return {ours: value_of(part, options, name) for ours, name in named.items()}


def value_of(part: str, options: dict[str, Any], name: str) -> float | int:
    if "dropout" not in name and name not in NUMBERS:
        return whole(part, options, name)
    number = number_of(options.get(name))
    if number is None:
        raise InvalidArgument(f"{part}.{name} is {brief(options.get(name))}; allowed is a number")
    return number
