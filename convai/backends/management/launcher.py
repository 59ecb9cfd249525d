"""Start a Triton server over a model repository, wait until it is ready, and stop it.

with Server(Path("model_repository"), grpc_port=0) as server:
    tritonclient.grpc.InferenceServerClient(server.grpc_address)
"""

import random
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from convai.backends.management.control import ADMIN_HEADER, RESTRICTED_PROTOCOLS, ControlClient
from convai.backends.management.processes import regions_of
from convai.backends.management.repository import models_of
from convai.backends.management.runtime_directory import RuntimeDirectory, clear_abandoned
from convai.backends.management.tls import ServerTls
from convai.backends.management.tritonserver import (
    check_stub,
    find_errors,
    find_networks,
    find_triton,
    model_options,
    prepare_backends,
    server_environment,
)
from convai.description.config_files import DEFAULT_PROFILE
from convai.errors import InvalidArgument

POLL_SECONDS = 0.1
PORT_SECONDS = 5.0
STOP_SECONDS = 12  # within which tritonserver ends after SIGTERM; more than its EXIT_TIMEOUT_SECONDS
PORTS = range(2**16)
PORTS_TO_PICK_FROM = range(20_000, 32_000)  # below the ports that Linux gives to outgoing connections


class ServerNotRunning(OSError):
    """The server did not start or ended by itself; the message holds the errors of its log."""


class Server:
    """A tritonserver process, running from `start` (or `with`) to `stop`.

    A port of 0 picks a free one; HTTP is closed unless `http_port` is given. `models` defaults to all models of the
    profile. With `tls`, gRPC is encrypted and HTTP, which Triton cannot encrypt, listens on the local address only.
    Without `log_file` the log is deleted when the server stops. Model control, shared memory, traces and logging need a
    random key, and so do configurations on other than local addresses; other users of this machine can read it in the
    list of processes.
    """

    def __init__(
        self,
        model_repository: Path,
        *,
        profile: str = DEFAULT_PROFILE,
        host: str = "127.0.0.1",
        grpc_port: int = 0,
        http_port: int | None = None,
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
        clear_abandoned()  # such a server may still hold the ports
        ports = {"--grpc-port": grpc_port, "--metrics-port": metrics_port}
        http = {} if http_port is None else {"--http-port": http_port}
        self.grpc_port, self.metrics_port, *open_http = resolve_ports(host, ports | http)
        self.http_port = open_http[0] if open_http else None
        self.tls = tls
        self.extra_args = list(extra_args)
        self.log_file = self._own_log_file = Path(log_file) if log_file else None
        self.ready_timeout_seconds = ready_timeout_seconds
        self.control = ControlClient(self.grpc_address, secrets.token_urlsafe(32))
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: RuntimeDirectory | None = None
        self._log_start = 0
        self._lock = threading.RLock()  # held while the process starts or stops
        self._stopping = threading.Event()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(at_once=True)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the server, from `start` on, and still after `stop`."""
        assert self._process is not None, "the server was never started"
        return self._process

    @property
    def grpc_address(self) -> str:
        return f"{reachable_host(self.host)}:{self.grpc_port}"

    @property
    def http_address(self) -> str | None:
        """None if HTTP is closed."""
        return None if self.http_port is None else f"{reachable_host(self.http_host)}:{self.http_port}"

    @property
    def request_ports(self) -> list[int]:
        """The ports at which requests arrive."""
        return [self.grpc_port] if self.http_port is None else [self.grpc_port, self.http_port]

    @property
    def metrics_url(self) -> str:
        return f"http://{reachable_host(self.host)}:{self.metrics_port}/metrics"

    def start(self) -> None:
        """Start the server and return when all its models are ready; raise ServerNotRunning if that fails."""
        self._stopping.clear()
        with self._lock:
            self._start()

    def restart(self) -> None:
        """Kill the server, dropping the requests in flight, and start it on the same ports."""
        with self._lock:
            self.process.kill()
            self._stop()
            self._start()

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server and remove everything that it leaves, even if it has crashed or never got ready.

        Running steps finish, but Triton lets no ensemble begin its next step: such a request fails. `at_once`: running
        steps do not finish either, and the 3 s are saved that Triton takes to unload idle models.
        """
        self._stopping.set()
        with self._lock:
            self._stop(at_once=at_once)

    def networks(self) -> list[str]:
        """Engine and precision of each network, as its engine has logged it."""
        return find_networks(self._read_log() or "")

    def record_regions(self) -> None:
        """Record the shared memory in use now; `stop` removes it even if the server gets killed."""
        if self._directory is not None:
            self._directory.record_regions(regions_of(self.process.pid))

    @property
    def has_crashed(self) -> bool:
        """Whether a signal ended the server. One that exits, or cannot start, has a status of its own."""
        return (self.process.poll() or 0) < 0

    def check_running(self, *, may_crash: bool = False) -> None:
        """Raise ServerNotRunning if the server has ended by itself; `may_crash`: unless a signal ended it."""
        with self._lock:
            if self.process.poll() is not None and not (may_crash and self.has_crashed):
                raise ServerNotRunning(f"tritonserver ended with status {self.process.returncode}:\n{self._errors()}")

    def _start(self) -> None:
        triton = find_triton()
        environment = server_environment()
        check_stub(triton.stub, environment)
        if self.tls:
            self.control = replace(self.control, tls=self.tls.for_control())
        self._directory = directory = RuntimeDirectory()
        try:
            prepare_backends(triton, directory.backends)
            self._launch(directory, triton.command(), environment)
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise

    def _stop(self, *, at_once: bool = False) -> None:
        if self._directory is None:
            return
        if self._process is not None:
            with suppress(OSError):  # a full disk must not keep the server alive
                self.record_regions()
            self._end_process(at_once)
        self._directory.remove()
        self._directory = None

    def _launch(self, directory: RuntimeDirectory, command: list[str], environment: dict[str, str]) -> None:
        self.log_file = self._own_log_file or directory.log_file
        with open(self.log_file, "ab") as log:
            self._log_start = log.tell()
            self._launched = time.time()
            self._process = subprocess.Popen(
                [*command, *self._options(directory)],
                env=environment,
                cwd=directory.path,  # without modules, because stubs import from their working directory
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal reaches only the launcher, which then stops the server
            )

    def _options(self, directory: RuntimeDirectory) -> list[str]:
        # Load generators such as perf_analyzer read the configurations, which show folders of this machine.
        configurations = () if is_loopback(self.host) else ("model-config",)
        restricted = f"{','.join((*RESTRICTED_PROTOCOLS, *configurations))}:{ADMIN_HEADER}={self.control.admin_key}"
        repository = link_if_not_ascii(self.model_repository, directory.path)
        return [
            *model_options(repository, directory.backends, self.profile, self.models),
            f"--grpc-address={self.host}",
            f"--grpc-port={self.grpc_port}",
            "--reuse-grpc-port=true",  # the graceful shutdown binds a socket beside Triton's
            f"--grpc-restricted-protocol={restricted}",
            *self._http_options(restricted),
            f"--metrics-address={self.host}",
            f"--metrics-port={self.metrics_port}",
            *(self.tls.options() if self.tls else []),
            *self.extra_args,
        ]

    def _http_options(self, restricted: str) -> list[str]:
        if self.http_port is None:
            return ["--allow-http=false"]
        return [
            f"--http-address={self.http_host}",
            f"--http-port={self.http_port}",
            "--reuse-http-port=true",
            f"--http-restricted-api={restricted}",
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.ready_timeout_seconds
        while not self.control.is_ready():
            self.check_running()
            if self._stopping.is_set():
                raise ServerNotRunning("the server was stopped before it was ready")
            if time.monotonic() > deadline:
                raise ServerNotRunning(f"not ready after {self.ready_timeout_seconds:.0f} s:\n{self._errors()}")
            time.sleep(POLL_SECONDS)
        self._wait_for_ports()
        self.record_regions()
        assert self._directory is not None
        self._directory.record_environments(self._launched)

    def _wait_for_ports(self) -> None:
        """Wait for the ports that Triton opens just after gRPC; not for long, since an option may have closed one."""
        deadline = time.monotonic() + PORT_SECONDS
        ports = {self.metrics_port: self.host} | ({self.http_port: self.http_host} if self.http_port else {})
        for port, host in ports.items():
            while not is_listening(reachable_host(host), port) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS / 10)

    def _end_process(self, at_once: bool) -> None:
        if at_once:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _errors(self) -> str:
        log = self._read_log()
        return "see above" if log is None else find_errors(log)

    def _read_log(self) -> str | None:
        """The log since the server started; None if it was deleted with its directory, or is a terminal."""
        if self.log_file is None or not self.log_file.is_file():
            return None
        with open(self.log_file, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")


def link_if_not_ascii(repository: Path, directory: Path) -> Path:
    """Link the repository into `directory` unless its path is ASCII: the interpreter in a stub opens no other."""
    if str(repository).isascii():
        return repository
    link = directory / "model_repository"
    link.symlink_to(repository)
    return link


def reachable_host(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`. Of the names, only localhost counts."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def resolve_ports(host: str, ports: Mapping[str, int]) -> list[int]:
    """Check that the ports, by the options that set them, are free on `host`, and pick a free one for each 0."""
    check_host(host)
    taken: set[int] = set()
    for option, port in ports.items():
        if port not in PORTS:
            raise InvalidArgument(f"{option}: expected 0 (picks a free port) to {PORTS[-1]}, got {port}")
        if port in taken or (port and not is_free(host, port)):
            raise OSError(f"{host}:{port} is not available; choose another port with {option} (0 picks a free one)")
        taken |= {port} - {0}
    candidates = random.sample(PORTS_TO_PICK_FROM, len(PORTS_TO_PICK_FROM))
    free = (port for port in candidates if port not in taken and is_free(host, port))
    return [port or next(free) for port in ports.values()]


def check_host(host: str) -> None:
    """Raise OSError unless a server can listen on the address."""
    with socket.socket() as listener:
        try:
            listener.bind((host, 0))
        except OSError as error:
            raise OSError(
                f"{host} is not available ({error.strerror}); choose an IPv4 address of this machine with --host"
            ) from error


def is_listening(host: str, port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((host, port)) == 0


def is_free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True
