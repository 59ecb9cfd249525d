"""Compiles an ONNX file with OpenVINO: precision, threads, and weights that take half the memory in BF16.

For BF16, a copy of the file with weights in FP16 is compiled, which is kept in the user's cache folder. Its weights are
memory-mapped, so that the processes of a network share them: BERT mini takes 95 MB less in each. Compiling the copy
takes 0.1 to 0.3 s, so the compiled network is not cached.
"""

import ctypes
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import platformdirs

BF16, FP32 = "BF16", "FP32"
HINTS = {BF16: "bf16", FP32: "f32"}


@dataclass(frozen=True)
class Compiled:
    """A compiled network.

    Attributes
    ----------
    model : the network before compilation, which answers questions about shapes
    request : runs the network, one item after another
    precision : of its computations
    """

    model: Any
    compiled: Any
    request: Any
    precision: str
    threads: int

    def release_memory(self) -> None:
        """Return the memory of the largest run so far to the system."""
        self.compiled.release_memory()
        ctypes.CDLL(None).malloc_trim(0)

    def dtype_of(self, name: str) -> np.dtype[Any]:
        return self.compiled.input(name).element_type.to_dtype()

    def __str__(self) -> str:
        version = openvino.get_version().partition("-")[0]
        return f"OpenVINO {version}, {self.precision}, {self.threads} thread{'s' * (self.threads > 1)}"


def compile_network(file: Path, threads: int, streams: int, wants_bf16: bool) -> Compiled:
    core = openvino.Core()
    precision = BF16 if wants_bf16 and has_bf16(core) else FP32
    model = core.read_model(cache_fp16_copy(core, file) if precision == BF16 else file)
    properties = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": str(streams),
        "ENABLE_CPU_PINNING": "NO",  # pinned, the threads of every process would share the first cores
        "CPU_DENORMALS_OPTIMIZATION": "YES",  # else silence makes WaveGlow ten times slower
    }
    compiled = core.compile_model(model, "CPU", properties)
    return Compiled(model, compiled, compiled.create_infer_request(), precision, threads)


def has_bf16(core: Any) -> bool:
    """Whether the processor multiplies BF16; where it does not, OpenVINO would emulate BF16."""
    return BF16 in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def cache_fp16_copy(core: Any, file: Path) -> Path:
    """Write a copy of a network with weights in FP16 unless it exists; returns `file` if the cache is not writable."""
    folder = platformdirs.user_cache_path("convai") / "openvino"
    copy = folder / make_copy_name(file) / "model.xml"
    if not copy.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as draft:
                openvino.save_model(core.read_model(file), Path(draft) / "copy" / copy.name, compress_to_fp16=True)
                os.rename(Path(draft) / "copy", copy.parent)
        except (OSError, RuntimeError) as error:
            if not copy.is_file():  # nor has another process written it meanwhile
                print(f"{file}: cannot be cached in {folder}, so it takes more memory: {error}", flush=True)
                return file
    return copy


def make_copy_name(file: Path) -> str:
    """A name that changes with the path, size and time of the file and with the version of OpenVINO."""
    status = file.stat()
    key = (file.resolve(), status.st_size, status.st_mtime_ns, openvino.get_version())
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]
