"""Triton's own files, the backend directory made of them, and tritonserver's environment, options and log.

NVIDIA's container keeps Triton in /opt/tritonserver; elsewhere it comes with the nvidia-pytriton wheel. Backends that
Triton brings (LibTorch, ONNX Runtime and TensorRT in the container) are used as they are; the engines of
`convai.backends.engines` replace the missing ones.
"""

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convai.description.config_files import DEFAULT_PROFILE
from convai.package_data import packaged

CONTAINER_HOME = Path("/opt/tritonserver")
STUB = "triton_python_backend_stub"
WHEEL_RELEASE = "2.51.0"  # of Triton, in nvidia-pytriton 0.7.0
ENGINES = packaged("backends", "engines")
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

EXIT_TIMEOUT_SECONDS = 8  # within which running steps finish after SIGTERM; Docker kills after 10 s
MAX_CONNECTION_AGE_SECONDS = 5  # then gRPC asks a client to reconnect, to this or another server

# 'E1122 18:47:12.58 13900 model_lifecycle.cc:642] "failed to load ..."', or 'error: creating server: ...' at the end;
# not what our steps log about a single request, from adapter.py.
ERROR = re.compile(
    r'^E\d{4} (?![^\]]*adapter\.py:)[^\]]*\] "?(?P<logged>.*?)"?$|^error: (?P<printed>.*)$', re.MULTILINE
)
NETWORK = re.compile(r"^network (.+)$", re.MULTILINE)  # the line that an engine logs
TRACEBACK = r"\n\nAt:"  # the log escapes line breaks
HARMLESS = ("CudaDriverHelper", "unable to create stream")  # logged on any machine without a GPU
MAX_ERRORS = 10


@dataclass(frozen=True)
class TritonFiles:
    """The files of one installation of Triton that the launcher needs."""

    home: Path
    stub: Path

    def __post_init__(self):
        for path in (self.binary, self.python_backend / "libtriton_python.so", self.stub):
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing from the Triton installation in {self.home}")

    @property
    def binary(self) -> Path:
        return self.home / "bin" / "tritonserver"

    @property
    def python_backend(self) -> Path:
        return self.home / "backends" / "python"

    def command(self) -> list[str]:
        """The start of tritonserver's command line."""
        return [str(self.binary), f"--cache-directory={self.home / 'caches'}"]


def find_triton(container: Path = CONTAINER_HOME) -> TritonFiles:
    """Triton's files: those of NVIDIA's container if it exists, otherwise those of the nvidia-pytriton wheel."""
    wheel = find_wheel()
    if not container.is_dir():
        if wheel is None:
            raise FileNotFoundError(
                f"Triton is not installed: found neither {container} nor the package nvidia-pytriton;"
                " install convai's extra 'cpu'"
            )
        return TritonFiles(wheel, stub_of_wheel(wheel))
    # The container has a stub for its own Python only; the wheel has one for each version. But server and stub
    # understand each other only within one release.
    release = (container / "TRITON_VERSION").read_text().strip()
    if wheel is not None and release == WHEEL_RELEASE:
        return TritonFiles(container, stub_of_wheel(wheel))
    return TritonFiles(container, container / "backends" / "python" / STUB)


def find_wheel() -> Path | None:
    """Triton's home in the nvidia-pytriton wheel, if that is installed."""
    spec = importlib.util.find_spec("pytriton")
    return Path(spec.origin).parent / "tritonserver" if spec and spec.origin else None


def stub_of_wheel(wheel: Path) -> Path:
    return wheel / "python_backend_stubs" / PYTHON_VERSION / STUB


def prepare_backends(triton: TritonFiles, directory: Path) -> None:
    """Fill the empty `directory` so that it serves as tritonserver's --backend-directory."""
    python = directory / "python"
    python.mkdir(parents=True)
    # Triton refuses a libtriton_python.so that points outside the backend directory. The other files may be links, and
    # the stub must be one: it finds its libraries relative to its real path.
    shutil.copy(triton.python_backend / "libtriton_python.so", python / "libtriton_python.so")
    (python / STUB).symlink_to(triton.stub)
    (python / "triton_python_backend_utils.py").symlink_to(triton.python_backend / "triton_python_backend_utils.py")
    for backend in (triton.home / "backends").iterdir():
        if (backend / f"libtriton_{backend.name}.so").is_file() and backend.name != "python":
            (directory / backend.name).symlink_to(backend)
    for engine in ENGINES.iterdir():
        if (engine / "model.py").is_file() and not (directory / engine.name).exists():
            (directory / engine.name).mkdir()
            (directory / engine.name / "model.py").symlink_to(engine / "model.py")


def server_environment() -> dict[str, str]:
    """The environment in which stubs run this Python with its packages."""
    return {**os.environ, **server_variables()}


def server_variables() -> dict[str, str]:
    """The variables that tritonserver needs in addition to an ordinary environment."""
    # A stub runs the first python3 on PATH, and needs the system's tools to find it.
    programs = [f"{sys.prefix}/bin", os.environ.get("PATH", ""), "/usr/bin", "/bin"]
    # The directory of libpython, which only the system's own interpreter has on the default path.
    libraries = [os.environ.get("LD_LIBRARY_PATH"), sysconfig.get_config_var("LIBDIR")]
    defaults = {
        # NumPy's threads wait for each other by spinning, which took the Python steps longer than the products.
        "OPENBLAS_NUM_THREADS": "1",
        # Each step keeps up to 64 MB of freed memory for its next request, because the system is slow to give it again.
        "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
        "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
        # Pages of 2 MB where the system offers them: a step that gets a core back finds few of its 4 KB pages in the
        # core's tables, which took 5 to 8 % of the processor time of an answer.
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        # TF32 has 10 bits of mantissa, FP32 has 23; 1 lets NVIDIA's libraries use it.
        "NVIDIA_TF32_OVERRIDE": "0",
    }
    return {
        "PATH": os.pathsep.join(filter(None, programs)),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        **{name: os.environ.get(name, default) for name, default in (defaults | choose_openblas_kernels()).items()},
    }


def choose_openblas_kernels() -> dict[str, str]:
    """The variable that selects OpenBLAS's kernels where it does not know the processor; empty elsewhere.

    OpenBLAS 0.3.23 in NumPy 1.26 looks processors up by their model number. For one that is newer, such as a
    fifth-generation Xeon, it takes the kernels of 2004 (Prescott, SSE3): a matrix product takes seven times as long.
    """
    libraries = Path(np.__file__).parents[1].glob("numpy.libs/libopenblas64_*.so")
    if all(read_openblas_core(library) != "Prescott" for library in libraries):
        return {}
    from numpy.core._multiarray_umath import __cpu_features__ as features  # in NumPy 2 it lies elsewhere

    cores = [core for feature, core in (("AVX512_SKX", "SkylakeX"), ("FMA3", "Haswell")) if features.get(feature)]
    return {"OPENBLAS_CORETYPE": cores[0]} if cores else {}


def read_openblas_core(library: Path) -> str:
    """The processor for which NumPy's OpenBLAS has chosen its kernels."""
    read = ctypes.CDLL(str(library)).openblas_get_corename64_
    read.restype = ctypes.c_char_p
    return read().decode()


def check_stub(stub: Path, environment: dict[str, str]) -> None:
    """Raise OSError if the stub cannot start, because tritonserver would then hang without a message."""
    report = subprocess.run(["ldd", stub], env=environment, capture_output=True, text=True, timeout=30)
    if report.returncode != 0:
        raise OSError(f"Triton's Python stub {stub} does not run on this machine: {report.stderr.strip()}")
    check_libraries(stub, report.stdout)


def check_libraries(stub: Path, libraries: str) -> None:
    """Raise OSError if, according to the output of `ldd`, a library is missing or belongs to another Python."""
    missing = [line.split()[0] for line in libraries.splitlines() if "not found" in line]
    if any(name.startswith("libpython") for name in missing):
        raise FileNotFoundError(
            f"Triton's Python stub needs {', '.join(missing)}: install your system's package libpython{PYTHON_VERSION}"
            " or a Python built with --enable-shared"
        )
    if missing:
        raise FileNotFoundError(f"Triton's Python stub {stub} needs {', '.join(missing)}: not found")
    versions = set(re.findall(r"libpython(\d\.\d+)\.so", libraries))
    if versions - {PYTHON_VERSION}:
        raise OSError(
            f"Triton's Python stub {stub} runs Python {', '.join(versions)} but convai is installed for"
            f" {PYTHON_VERSION}: use Triton {WHEEL_RELEASE}, or build its stub for Python {PYTHON_VERSION}"
        )


def model_options(model_repository: Path, backends: Path, profile: str, models: Sequence[str]) -> list[str]:
    """The options with which tritonserver serves the models of a profile, on any address."""
    return [
        f"--model-repository={model_repository}",
        f"--backend-directory={backends}",
        "--model-control-mode=explicit",  # otherwise Triton would load the steps of every recogniser
        *[f"--load-model={model}" for model in models],
        "--disable-auto-complete-config",  # auto-completion would start every stub twice
        *([] if profile == DEFAULT_PROFILE else [f"--model-config-name={profile}"]),
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
        f"--grpc-max-connection-age={1000 * MAX_CONNECTION_AGE_SECONDS}",
        "--grpc-http2-min-recv-ping-interval-without-data=1000",  # clients ping often to notice a frozen server
        "--metrics-config=summary_latencies=true",  # latency quantiles, at no measurable cost
    ]


def find_errors(log: str) -> str:
    """The errors in the log, one a line; only those about models if there are any, since the rest follow from them."""
    errors = [match["logged"] or match["printed"] for match in ERROR.finditer(log)]
    errors = [error.partition(TRACEBACK)[0] for error in errors if not any(text in error for text in HARMLESS)]
    of_models = [error for error in errors if error.startswith(("failed to load", "Poll failed"))]
    return "\n".join(list(dict.fromkeys(of_models or errors))[-MAX_ERRORS:]) or "its log holds no error"


def find_networks(log: str) -> list[str]:
    """Engine and precision of each network according to the log, one line per network, not per process."""
    logged = {line.partition(":")[0]: line.partition("; ")[0] for line in NETWORK.findall(log)}
    return [logged[name] for name in sorted(logged)]
