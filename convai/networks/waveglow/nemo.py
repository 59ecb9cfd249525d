"""Reads WaveGlow as NVIDIA NeMo stores it, from a WaveGlowModel."""

from typing import Any

from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_archive import NemoArchive
from convai.networks.checkpoints.nemo_options import brief, check, number_of, section, whole
from convai.networks.checkpoints.nemo_voice import PREPROCESSOR, check_voice
from convai.networks.checkpoints.renames import Reading, RenameTable, rename
from convai.networks.waveglow.convert import fold_weight_norm, split_conditioning
from convai.networks.waveglow.model import WaveGlowConfig

RENAMES: RenameTable = (
    (rf"^{PREPROCESSOR}\.", None),
    (r"^waveglow\.convinv\.\d+\.inv_conv\.", None),  # computed from the other, as here
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


def read(archive: NemoArchive) -> Reading:
    check_voice(archive)
    options = section(archive.config, "waveglow", "WaveGlowModule")
    check("waveglow", options, {}, SIZES)
    sigma = number_of(archive.config.get("sigma", 1.0))
    if sigma is None:
        raise InvalidArgument(f"sigma is {brief(archive.config['sigma'])}; allowed is a number")
    sizes: dict[str, Any] = {ours: whole("waveglow", options, name) for name, ours in SIZES.items()}
    tensors = fold_weight_norm(split_conditioning(rename(archive.tensors, RENAMES)))
    return Reading(f"{archive.toolkit}, WaveGlow", WaveGlowConfig(sigma=sigma, **sizes), tensors)
