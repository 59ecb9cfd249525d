"""The device that a training runs on, and the worker processes that prepare its batches."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from convai.errors import InvalidArgument

CPU = torch.device("cpu")
MOST_WORKERS = 8
DRAWN_AHEAD = 4  # batches of each worker: enough to cover a slow one, few enough to bound memory


def choose_device(name: str | None = None) -> torch.device:
    """Return the device of a name, or CUDA if this machine has it, or the CPU."""
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidArgument(f"--device: expected cpu, because PyTorch finds no GPU on this machine, got {name}")
    return device


def choose_workers(device: torch.device) -> int:
    """None on a CPU, where they would take the cores from the training."""
    return 0 if device.type == "cpu" else min(MOST_WORKERS, (os.cpu_count() or 1) - 1)


def supports_bfloat16(device: torch.device = CPU) -> bool:
    """Whether the device multiplies BF16 itself; emulating it takes longer than FP32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def move(batch: Any, device: torch.device) -> Any:
    """Copy the tensors of a batch, a tensor or a tuple or dataclass of them, to a device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, tuple):
        return tuple(move(one, device) for one in batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{one.name: move(getattr(batch, one.name), device) for one in fields(batch)})
    return batch


def draw_ahead(draw: Callable[[Any], Any], keys: Iterable[Any], workers: int) -> Iterator[Any]:
    """Yield `draw` of every key in order, computed by worker processes, or here if there are none.

    A batch follows from its step alone, so the number of workers does not change it.
    """
    if not workers:
        return map(draw, keys)
    loader = DataLoader(
        _Drawn(draw),
        sampler=cast(Any, keys),
        batch_size=None,
        collate_fn=_keep,
        num_workers=workers,
        prefetch_factor=DRAWN_AHEAD,
        multiprocessing_context="fork",  # the workers share the clips in memory
    )
    return iter(loader)


class _Drawn(Dataset[Any]):
    def __init__(self, draw: Callable[[Any], Any]):
        self.draw = draw

    def __getitem__(self, key: Any) -> Any:
        return self.draw(key)


def _keep(batch: Any) -> Any:
    return batch
