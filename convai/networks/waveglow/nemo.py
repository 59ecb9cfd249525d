"""Reads WaveGlow as NVIDIA NeMo stores it, from a WaveGlowModel."""

from typing import Any

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
from convai.networks.waveglow.convert import fold_weight_norm, split_conditioning
from convai.networks.waveglow.model import WaveGlowConfig

RENAMES: RenameTable = (
    (rf"^{VOICE_PREPROCESSOR}\.", None),
    (r"^waveglow\.convinv\.\d+\.inv_conv\.", None),  # computed from the weight, as in our network
    (r"^waveglow\.wavenet\.", "WN."),
    (r"^waveglow\.", ""),
    (r"\.parametrizations\.weight\.original0$", ".weight_g"),
    (r"\.parametrizations\.weight\.original1$", ".weight_v"),
)
SIZES = {  # by NeMo's names
    "n_mel_channels": "n_mel_channels", "n_flows": "n_flows", "n_group": "n_group", "n_early_every": "n_early_every",
    "n_early_size": "n_early_size", "n_wn_channels": "n_channels", "n_wn_layers": "n_layers",
    "wn_kernel_size": "kernel_size",
}  # fmt: skip


def read(archive: NemoArchive) -> Converted:
    check_voice(archive)
    options = read_section(archive.config, "waveglow", "WaveGlowModule")
    check_options("waveglow", options, {}, SIZES)
    sigma = read_number("model", archive.config, "sigma", default=1.0)
    sizes: dict[str, Any] = {ours: read_integer("waveglow", options, name) for name, ours in SIZES.items()}
    tensors = fold_weight_norm(split_conditioning(rename(archive.tensors, RENAMES)))
    return Converted(f"{archive.toolkit}, WaveGlow", WaveGlowConfig(sigma=sigma, **sizes), tensors)
