"""Reads WaveGlow as NVIDIA's DeepLearningExamples and NVIDIA/waveglow store it, with or without weight norm."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from convai.networks.checkpoints.renames import (
    Converted,
    RenameTable,
    build_config,
    find_size,
    rename,
    select_tensors,
)
from convai.networks.waveglow.model import WaveGlowConfig

RENAMES: RenameTable = (
    (r"^module\.", ""),
    (r"^1\.", ""),
    (r"\.parametrizations\.weight\.original0$", ".weight_g"),
    (r"\.parametrizations\.weight\.original1$", ".weight_v"),
)
FUSED_KEY = re.compile(r"^(WN\.\d+\.)cond_layer\.(\w+)$")
INDEX = r"(\d+)\."


def read(contents: Mapping[str, Any], path: Path) -> Converted | None:
    is_module = "model" in contents
    tensors = rename(select_tensors(contents, "model" if is_module else "state_dict"), RENAMES)
    if not any(key.startswith("WN.0.") for key in tensors):
        return None
    layout = ["NVIDIA/waveglow, pickled module" if is_module else "NVIDIA DeepLearningExamples, WaveGlow"]
    layout += ["weight norm"] * any(key.endswith(".weight_g") for key in tensors)
    layout += ["fused cond_layer"] * any(FUSED_KEY.match(key) for key in tensors)
    tensors = fold_weight_norm(split_conditioning(tensors))
    config = read_stated_config(contents["config"], path) if "config" in contents else infer_config(tensors)
    return Converted(", ".join(layout), config, tensors)


def split_conditioning(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Split the one `cond_layer` per flow of newer files into one per layer."""
    layers, split = count(tensors, r"^WN\.0\.in_layers\."), {}
    for key, tensor in tensors.items():
        match = FUSED_KEY.match(key)
        parts = tensor.chunk(max(layers, 1)) if match else [tensor]
        names = [f"{match[1]}cond_layers.{i}.{match[2]}" for i in range(len(parts))] if match else [key]
        split.update(zip(names, parts, strict=True))
    return split


def fold_weight_norm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace each direction and norm by their product, in FP32 because a quotient in FP16 would lose precision."""
    folded = dict(tensors)
    for key in tensors:
        layer = key.removesuffix("_v")
        if layer != key and f"{layer}_g" in tensors:
            direction, norm = folded.pop(key).float(), folded.pop(f"{layer}_g").float()
            folded[layer] = direction * (norm / direction.norm(dim=(1, 2), keepdim=True))
    return folded


def read_stated_config(stated: Mapping[str, Any], path: Path) -> WaveGlowConfig:
    """Return the file's sizes. Raises InvalidArgument for an option that our network does not have."""
    options = {name: value for name, value in stated.items() if name != "WN_config"} | dict(stated.get("WN_config", {}))
    return build_config(WaveGlowConfig, options, path)


def infer_config(tensors: Mapping[str, Tensor]) -> WaveGlowConfig:
    """Infer the sizes from shapes; for a missing tensor take NVIDIA's, so that the check of the keys lists it."""
    usual, upsampled = WaveGlowConfig(), "upsample.weight" in tensors
    flows = [find_size(tensors, f"convinv.{i}.conv.weight", 0, 0) for i in range(count(tensors, r"^convinv\."))]
    leaving = [i for i in range(1, len(flows)) if flows[i] < flows[i - 1]]
    in_layer, cond_layer = "WN.0.in_layers.0.weight", "WN.0.cond_layers.0.weight"
    return WaveGlowConfig(
        n_mel_channels=find_size(
            tensors, *(("upsample.weight", 0) if upsampled else (cond_layer, 1)), usual.n_mel_channels
        ),
        n_flows=len(flows) or usual.n_flows,
        n_group=flows[0] if flows else usual.n_group,
        n_early_every=leaving[0] if leaving else max(len(flows), 1),
        n_early_size=flows[leaving[0] - 1] - flows[leaving[0]] if leaving else usual.n_early_size,
        n_layers=count(tensors, r"^WN\.0\.in_layers\.") or usual.n_layers,
        n_channels=find_size(tensors, in_layer, 1, usual.n_channels),
        kernel_size=find_size(tensors, in_layer, 2, usual.kernel_size),
        conditioning="upsampled" if upsampled else "repeated",
        conditioning_kernel_size=find_size(tensors, cond_layer, 2, usual.conditioning_kernel_size),
    )


def count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return the length of a list of modules: one more than the highest index after the prefix."""
    return 1 + max((int(match[1]) for key in tensors if (match := re.match(prefix + INDEX, key))), default=-1)
