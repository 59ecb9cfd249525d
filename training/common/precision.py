"""Which numbers a training should multiply."""

import torch


def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies BF16 by itself; where it does not, emulating that takes longer than FP32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
