"""Start a Triton server over a model repository, wait until it answers, and stop it cleanly.

with Server(Path("model_repository"), grpc_port=0) as server:
    tritonclient.grpc.InferenceServerClient(server.grpc_address)
"""

import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convai.backends.management.control import ADMIN_HEADER, RESTRICTED_PROTOCOLS, ControlClient
from convai.backends.management.ports import resolve_ports
from convai.backends.management.processes import regions_of
from convai.backends.management.repository import models_of
from convai.backends.management.run_folder import RunFolder, remove_abandoned
from convai.backends.management.server_log import networks, reasons
from convai.backends.management.tritonserver import check_stub, find_triton, prepare_backends, server_environment
from convai.description.config_files import DEFAULT_PROFILE

POLL_SECONDS = 0.1
IN_FLIGHT_SECONDS = 8  # how long Triton lets running steps finish when told to stop; Docker kills after 10 s
STOP_SECONDS = 12
# Runs in the new process before tritonserver takes its place: the kernel stops it when the launcher dies.
DIE_WITH_LAUNCHER = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"  # PR_SET_PDEATHSIG
)
MAX_CONNECTION_AGE_SECONDS = 5  # then gRPC asks a client to connect anew, here or to another server
BALANCING_OPTIONS = (
    f"--grpc-max-connection-age={1000 * MAX_CONNECTION_AGE_SECONDS}",
    "--grpc-http2-min-recv-ping-interval-without-data=1000",  # clients look often whether a server is frozen
)


class ServerNotRunning(OSError):
    """The server did not start or ended by itself; the message holds the lines of its log that say why."""


@dataclass(frozen=True)
class ServerTls:
    """Files that turn on TLS for gRPC; with `root_cert` clients must show a certificate signed by it."""

    cert: Path
    key: Path
    root_cert: Path | None = None

    def __post_init__(self):
        for path in filter(None, (self.cert, self.key, self.root_cert)):
            if not path.is_file():
                raise FileNotFoundError(f"TLS file {path} does not exist")

    def options(self) -> list[str]:
        certificate = [f"--grpc-server-cert={self.cert.resolve()}", f"--grpc-server-key={self.key.resolve()}"]
        if self.root_cert is None:
            return ["--grpc-use-ssl=true", *certificate]
        return ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.root_cert.resolve()}", *certificate]


class Server:
    """A tritonserver process, running from `start` (or `with`) to `stop`.

    Ports of 0 are picked. `models` defaults to all of the repository. With `tls`, gRPC is encrypted and HTTP, which
    Triton cannot encrypt, stays on the local address. Without `log_file` the log is kept only while the server runs.
    Model control, shared memory, traces and logging need a key that is made up here; other users of this machine can
    read it in the list of processes. The thread that calls `start` has to live on: the server ends with it.
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
        tls: ServerTls | None = None,
        models: Sequence[str] | None = None,
        extra_args: Sequence[str] = (),
        log_file: Path | None = None,
        ready_timeout_seconds: float = 180.0,
    ):
        self.model_repository = Path(model_repository).resolve()
        self.profile = profile
        of_profile = models_of(self.model_repository, profile)
        self.models = list(models or of_profile)
        self.host = host
        self.http_host = "127.0.0.1" if tls else host
        remove_abandoned()  # it may hold the ports
        wanted = {"--grpc-port": grpc_port, "--http-port": http_port, "--metrics-port": metrics_port}
        self.grpc_port, self.http_port, self.metrics_port = resolve_ports(host, wanted)
        self.tls = tls
        self.extra_args = list(extra_args)
        self.log_file = self._own_log_file = Path(log_file) if log_file else None
        self.ready_timeout_seconds = ready_timeout_seconds
        self.control = ControlClient(f"{reachable(self.http_host)}:{self.http_port}", secrets.token_urlsafe(32))
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: RunFolder | None = None
        self._log_start = 0
        self._lock = threading.RLock()  # held while the process starts or stops
        self._stopping = threading.Event()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's; there is one from `start` on, and still after `stop`."""
        assert self._process is not None, "the server was never started"
        return self._process

    @property
    def grpc_address(self) -> str:
        return f"{reachable(self.host)}:{self.grpc_port}"

    @property
    def http_address(self) -> str:
        return self.control.address

    @property
    def metrics_url(self) -> str:
        return f"http://{reachable(self.host)}:{self.metrics_port}/metrics"

    def start(self) -> None:
        """Start the server and return when all its models are ready; raise ServerNotRunning if that fails."""
        self._stopping.clear()
        with self._lock:
            self._start()

    def restart(self) -> None:
        """Start anew on the same ports, dropping the requests in flight; for a server that no longer works."""
        with self._lock:
            self.process.kill()
            self._stop()
            self._start()

    def stop(self) -> None:
        """Stop the server; whatever happened before, nothing of it is left.

        Steps that are running finish, but Triton lets no ensemble begin its next one: such a request is refused.
        """
        self._stopping.set()
        with self._lock:
            self._stop()

    def networks(self) -> list[str]:
        """What its networks run on and in which precision, as far as their engines tell the log."""
        return networks(self._log() or "")

    def note_regions(self) -> None:
        """Note the shared memory in use now; `stop` will remove it even if the server gets killed."""
        if self._folder is not None:
            self._folder.note_regions(regions_of(self.process.pid))

    @property
    def has_crashed(self) -> bool:
        """Whether a signal ended the server; one that ends in order, or cannot start, has a status of its own."""
        return (self.process.poll() or 0) < 0

    def check_running(self) -> None:
        """Raise ServerNotRunning if the server has ended by itself."""
        with self._lock:
            if self.process.poll() is not None:
                raise ServerNotRunning(f"tritonserver ended with status {self.process.returncode}:\n{self._reasons()}")

    def _start(self) -> None:
        triton = find_triton()
        environment = server_environment()
        check_stub(triton.stub, environment)
        self._folder = folder = RunFolder()
        try:
            prepare_backends(triton, folder.backends)
            self._launch(folder, [str(triton.binary), f"--cache-directory={triton.home / 'caches'}"], environment)
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        if self._folder is None:
            return
        if self._process is not None:
            self.note_regions()
            self._end_process()
        self._folder.remove()
        self._folder = None

    def _launch(self, folder: RunFolder, command: list[str], environment: dict[str, str]) -> None:
        self.log_file = self._own_log_file or folder.log_file
        with open(self.log_file, "ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", DIE_WITH_LAUNCHER, *command, *self._options(folder)],
                env=environment,
                cwd=folder.path,  # an empty place, since stubs import from where they are
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal reaches the launcher alone, which stops in order
            )

    def _options(self, folder: RunFolder) -> list[str]:
        restricted = f"{RESTRICTED_PROTOCOLS}:{ADMIN_HEADER}={self.control.admin_key}"
        return [
            *pipeline_options(self.model_repository, folder.backends, self.profile, self.models),
            f"--grpc-address={self.host}",
            f"--grpc-port={self.grpc_port}",
            "--reuse-grpc-port=true",  # `retire` needs that
            f"--grpc-restricted-protocol={restricted}",
            f"--http-address={self.http_host}",
            f"--http-port={self.http_port}",
            "--reuse-http-port=true",
            f"--http-restricted-api={restricted}",
            f"--metrics-address={self.host}",
            f"--metrics-port={self.metrics_port}",
            *(self.tls.options() if self.tls else []),
            *self.extra_args,
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.ready_timeout_seconds
        while not self.control.is_ready():
            self.check_running()
            if self._stopping.is_set():
                raise ServerNotRunning("the server was stopped before it was ready")
            if time.monotonic() > deadline:
                raise ServerNotRunning(f"not ready after {self.ready_timeout_seconds:.0f} s:\n{self._reasons()}")
            time.sleep(POLL_SECONDS)
        self.note_regions()

    def _end_process(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _reasons(self) -> str:
        log = self._log()
        return "see above" if log is None else reasons(log)

    def _log(self) -> str | None:
        """What the server has logged since it started; None if the log went with its folder, or is a terminal."""
        if self.log_file is None or not self.log_file.is_file():
            return None
        with open(self.log_file, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")


def pipeline_options(model_repository: Path, backends: Path, profile: str, models: Sequence[str]) -> list[str]:
    """What tritonserver must be told to serve the models of a profile, whoever starts it and wherever it listens."""
    return [
        f"--model-repository={model_repository}",
        f"--backend-directory={backends}",
        "--model-control-mode=explicit",  # or it would load the steps of every recogniser
        *[f"--load-model={model}" for model in models],
        "--disable-auto-complete-config",  # it would start every stub twice
        *([] if profile == DEFAULT_PROFILE else [f"--model-config-name={profile}"]),
        f"--exit-timeout-secs={IN_FLIGHT_SECONDS}",
        *BALANCING_OPTIONS,
        "--metrics-config=summary_latencies=true",  # latency quantiles, at no cost that could be measured
    ]


def reachable(host: str) -> str:
    """The address under which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host
