"""Start a Triton server over a model repository, wait until it answers, and stop it cleanly.

    with Server(Path("model_repository"), grpc_port=0) as server:
        tritonclient.grpc.InferenceServerClient(server.grpc_address)
"""

import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convai.backends.control import ADMIN_HEADER, RESTRICTED_PROTOCOLS, ControlClient
from convai.backends.ports import resolve_port
from convai.backends.processes import remove_regions, stubs_of
from convai.backends.repository import DEFAULT_PROFILE, check_profile, models_in
from convai.backends.tritonserver import check_stub, find_triton, prepare_backends, server_environment

POLL_SECONDS = 0.1
STOP_SECONDS = 30  # Triton's own limit for requests in flight is set below it
# Runs in the new process before tritonserver takes its place: the kernel stops it when the launcher dies.
DIE_WITH_LAUNCHER = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"  # PR_SET_PDEATHSIG
)


class ServerError(OSError):
    """The server did not start or ended by itself; the message holds the lines of its log that say why."""


@dataclass(frozen=True)
class Tls:
    """Files that turn on TLS for gRPC; with `root_cert` clients must show a certificate signed by it."""

    cert: Path
    key: Path
    root_cert: Path | None = None

    def __post_init__(self):
        for path in filter(None, (self.cert, self.key, self.root_cert)):
            if not path.is_file():
                raise FileNotFoundError(f"TLS file {path} does not exist")

    def options(self) -> list[str]:
        mutual = ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.root_cert}"] if self.root_cert else []
        certificate = [f"--grpc-server-cert={self.cert}", f"--grpc-server-key={self.key}"]
        return ["--grpc-use-ssl=true", *certificate, *mutual]


class Server:
    """A tritonserver process, running from `start` (or `with`) to `stop`.

    Ports of 0 are picked. `models` defaults to all of the repository. With `tls`, gRPC is encrypted and HTTP, which
    Triton cannot encrypt, stays on the local address. Without `log_file` the log is kept only while the server runs.
    """

    def __init__(
        self,
        model_repository: Path,
        *,
        profile: str = DEFAULT_PROFILE,
        host: str = "127.0.0.1",
        grpc_port: int = 0,
        http_port: int = 0,
        metrics_port: int = 0,
        tls: Tls | None = None,
        models: Sequence[str] | None = None,
        extra_args: Sequence[str] = (),
        log_file: Path | None = None,
        ready_timeout_seconds: float = 180.0,
    ):
        self.model_repository = Path(model_repository).resolve()
        check_profile(self.model_repository, profile)
        self.profile = profile
        self.models = list(models or models_in(self.model_repository))
        self.host = host
        self.http_host = "127.0.0.1" if tls else host
        self.grpc_port = resolve_port(host, grpc_port, "--grpc-port")
        self.http_port = resolve_port(self.http_host, http_port, "--http-port")
        self.metrics_port = resolve_port(self.http_host, metrics_port, "--metrics-port")
        self.tls = tls
        self.extra_args = list(extra_args)
        self.log_file = Path(log_file) if log_file else None
        self.ready_timeout_seconds = ready_timeout_seconds
        self.control = ControlClient(f"{reachable(self.http_host)}:{self.http_port}", secrets.token_urlsafe(32))
        self.process = None
        self._directory = None
        self._regions = set()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    @property
    def grpc_address(self) -> str:
        return f"{reachable(self.host)}:{self.grpc_port}"

    @property
    def http_address(self) -> str:
        return self.control.address

    @property
    def metrics_url(self) -> str:
        return f"http://{reachable(self.http_host)}:{self.metrics_port}/metrics"

    def start(self) -> None:
        """Start the server and return when all its models are ready; raise ServerError if they do not become so."""
        triton = find_triton()
        environment = server_environment()
        check_stub(triton.stub, environment)
        self._directory = Path(tempfile.mkdtemp(prefix="convai-"))
        self.log_file = self.log_file or self._directory / "tritonserver.log"
        try:
            prepare_backends(triton, self._directory / "backends")
            with open(self.log_file, "ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-ISc", DIE_WITH_LAUNCHER, str(triton.binary), *self._options()],
                    env=environment,
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C in the terminal reaches the launcher alone, which stops in order
                )
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, waiting for requests in flight; whatever happened before, nothing of it is left."""
        if self.process is not None:
            self.remember_regions()
            self._end_process()
            remove_regions(self._regions)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def remember_regions(self) -> None:
        """Note the shared memory of the stubs that run now, so that `stop` removes it even if they get killed."""
        for stub in stubs_of(self.process.pid):
            self._regions |= stub.regions

    def _end_process(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _options(self) -> list[str]:
        profile = [] if self.profile == DEFAULT_PROFILE else [f"--model-config-name={self.profile}"]
        return [
            f"--model-repository={self.model_repository}",
            f"--backend-directory={self._directory / 'backends'}",
            f"--cache-directory={find_triton().home / 'caches'}",
            "--model-control-mode=explicit",
            *[f"--load-model={model}" for model in self.models],
            "--disable-auto-complete-config",  # it would start every stub twice
            *profile,
            f"--exit-timeout-secs={STOP_SECONDS - 5}",
            f"--grpc-address={self.host}",
            f"--grpc-port={self.grpc_port}",
            f"--http-address={self.http_host}",
            f"--http-port={self.http_port}",
            f"--metrics-port={self.metrics_port}",
            f"--grpc-restricted-protocol={RESTRICTED_PROTOCOLS}:{ADMIN_HEADER}={self.control.admin_key}",
            f"--http-restricted-api={RESTRICTED_PROTOCOLS}:{ADMIN_HEADER}={self.control.admin_key}",
            *(self.tls.options() if self.tls else []),
            *self.extra_args,
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.ready_timeout_seconds
        while not self.control.is_ready():
            self.check_running()
            if time.monotonic() > deadline:
                raise ServerError(f"not ready after {self.ready_timeout_seconds:.0f} s\n{self.log_errors()}")
            time.sleep(POLL_SECONDS)
        self.remember_regions()

    def check_running(self) -> None:
        """Raise ServerError if the server has ended by itself."""
        if self.process.poll() is not None:
            raise ServerError(f"tritonserver ended with status {self.process.returncode}\n{self.log_errors()}")

    def log_errors(self) -> str:
        """The last lines of the log that report errors."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if line.startswith(("E", "error"))][-10:])


def reachable(host: str) -> str:
    """The address under which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host
