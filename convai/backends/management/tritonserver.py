"""Find Triton's own files (binary, Python backend, stub, libraries) and lay out a backend directory from them.

NVIDIA's container keeps them in /opt/tritonserver, anywhere else they come with the nvidia-pytriton wheel. Backends
that Triton brings itself (LibTorch, ONNX Runtime, TensorRT in the container) are used as they are; where one is
missing, the engine of the same name from `convai.backends.engines` takes its place.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from convai.package_data import packaged

CONTAINER_HOME = Path("/opt/tritonserver")
STUB = "triton_python_backend_stub"
WHEEL_RELEASE = "2.51.0"  # of Triton, in nvidia-pytriton 0.7.0
ENGINES = packaged("backends", "engines")
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class TritonFiles:
    """Where one installation of Triton keeps what the launcher needs."""

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


def find_triton(container: Path = CONTAINER_HOME) -> TritonFiles:
    """Triton's files in NVIDIA's container if we run there, otherwise in the nvidia-pytriton wheel."""
    wheel = find_wheel()
    if not container.is_dir():
        if wheel is None:
            raise FileNotFoundError(f"there is no Triton: neither {container} nor nvidia-pytriton; install convai[cpu]")
        return TritonFiles(wheel, stub_of_wheel(wheel))
    # The container has a stub for its own Python alone. The wheel has one for each, but server and stub understand
    # each other only within one release.
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
    """Fill the empty folder `directory` so that it serves as tritonserver's --backend-directory."""
    python = directory / "python"
    python.mkdir(parents=True)
    # Triton refuses a libtriton_python.so that points outside the backend directory; the other files may, and the
    # stub must: it finds its libraries relative to where it really is.
    link_or_copy(triton.python_backend / "libtriton_python.so", python / "libtriton_python.so")
    (python / STUB).symlink_to(triton.stub)
    (python / "triton_python_backend_utils.py").symlink_to(triton.python_backend / "triton_python_backend_utils.py")
    for backend in (triton.home / "backends").iterdir():
        if (backend / f"libtriton_{backend.name}.so").is_file() and backend.name != "python":
            (directory / backend.name).symlink_to(backend)
    for engine in ENGINES.iterdir():
        if (engine / "model.py").is_file() and not (directory / engine.name).exists():
            (directory / engine.name).mkdir()
            (directory / engine.name / "model.py").symlink_to(engine / "model.py")


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or hard links are forbidden
        shutil.copy2(source, target)


def server_environment() -> dict[str, str]:
    """The environment in which stubs start this very Python with its packages."""
    return {**os.environ, **server_variables()}


def server_variables() -> dict[str, str]:
    """What of it differs from the environment of anything else."""
    # A stub runs the first python3 on PATH, and needs the system's tools to find it.
    programs = [f"{sys.prefix}/bin", os.environ.get("PATH", ""), "/usr/bin", "/bin"]
    # The directory of libpython, which interpreters outside the system's own keep to themselves.
    libraries = [os.environ.get("LD_LIBRARY_PATH"), sysconfig.get_config_var("LIBDIR")]
    changeable = {
        # NumPy's threads wait for each other by spinning, which took the Python steps longer than the products.
        "OPENBLAS_NUM_THREADS": "1",
        # Each step keeps up to 64 MB of what it freed: its next request needs that, and the system is slow to give it.
        "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
        "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    }
    return {
        "PATH": os.pathsep.join(filter(None, programs)),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        **{name: os.environ.get(name, value) for name, value in changeable.items()},
    }


def check_stub(stub: Path, environment: dict[str, str]) -> None:
    """Raise if the stub cannot start: tritonserver would then hang without a word."""
    report = subprocess.run(["ldd", stub], env=environment, capture_output=True, text=True, timeout=30)
    if report.returncode != 0:
        raise OSError(f"Triton's Python stub {stub} is not a program for this machine: {report.stderr.strip()}")
    missing = [line.split()[0] for line in report.stdout.splitlines() if "not found" in line]
    if any(name.startswith("libpython") for name in missing):
        raise FileNotFoundError(
            f"Triton's Python stub needs {', '.join(missing)}: install your system's package libpython{PYTHON_VERSION}"
            " or a Python built with --enable-shared"
        )
    if missing:
        raise FileNotFoundError(f"Triton's Python stub {stub} needs {', '.join(missing)}, found nowhere")
    versions = set(re.findall(r"libpython(\d\.\d+)\.so", report.stdout))
    if versions - {PYTHON_VERSION}:
        raise OSError(
            f"Triton's Python stub {stub} runs Python {', '.join(versions)} but convai is installed for"
            f" {PYTHON_VERSION}: use Triton {WHEEL_RELEASE}, or build its stub for Python {PYTHON_VERSION}"
        )
