"""Compile an ONNX file with OpenVINO: precision, threads, and weights that take half the memory in BF16.

What is compiled in BF16 is a copy of the file with weights in FP16, kept in the user's cache folder. Its weights are
mapped from there, so that the processes of a network share them: BERT mini takes 95 MB less in each. Compiling takes
0.1 to 0.3 s from there and is not worth keeping.
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
    """
    Attributes
    ----------
    model : what was compiled, to ask about shapes
    precision : what it computes in
    """

    model: Any
    compiled: Any
    precision: str
    threads: int

    def give_back_memory(self) -> None:
        """Give the memory of the largest run so far back to the system."""
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
    model = core.read_model(halved(core, file) if precision == BF16 else file)
    properties = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": str(streams),
        "ENABLE_CPU_PINNING": "NO",  # or the threads of every process would crowd the first cores
        "CPU_DENORMALS_OPTIMIZATION": "YES",
    }
    return Compiled(model, core.compile_model(model, "CPU", properties), precision, threads)


def has_bf16(core: Any) -> bool:
    """Whether the processor multiplies BF16; asked for it, OpenVINO would also emulate it."""
    return BF16 in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def halved(core: Any, file: Path) -> Path:
    """The copy of a network with weights in FP16, made unless there is one; the file itself if none can be kept."""
    folder = platformdirs.user_cache_path("convai") / "openvino"
    copy = folder / name_of_copy(file) / "model.xml"
    if not copy.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as draft:
                openvino.save_model(core.read_model(file), Path(draft) / "copy" / copy.name, compress_to_fp16=True)
                os.rename(Path(draft) / "copy", copy.parent)
        except (OSError, RuntimeError) as error:
            if not copy.is_file():  # another process has not made it meanwhile
                print(f"{file} is not kept in {folder}, so that it takes more memory: {error}", flush=True)
                return file
    return copy


def name_of_copy(file: Path) -> str:
    """Another one for every file and whatever takes its place."""
    status = file.stat()
    what = (file.resolve(), status.st_size, status.st_mtime_ns, openvino.get_version())
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]
