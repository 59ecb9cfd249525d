"""The address of the server and how to connect to it; the same for every kind of client."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from tritonclient.utils import InferenceServerException

from convai.client.balancing import LIST_SCHEME, balanced_target, channel_arguments, is_balanced
from convai.client.errors import to_convai_error
from convai.errors import InvalidArgument

DEFAULT_ADDRESS = "127.0.0.1:8001"
File = str | PathLike[str]


@dataclass(frozen=True)
class Tls:
    """PEM files for an encrypted connection.

    Attributes
    ----------
    root_ca : certificate authority that signed the server's certificate; None for those of the system
    certificate, key : what the client presents to a server that demands it (mutual TLS)
    server_name : host name in the certificates of several servers; None for the host of a DNS target
    """

    root_ca: File | None = None
    certificate: File | None = None
    key: File | None = None
    server_name: str | None = None

    def __post_init__(self):
        if (self.certificate is None) != (self.key is None):
            raise InvalidArgument("tls: certificate and key belong together; give both or neither")
        for name in ("root_ca", "certificate", "key"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                raise InvalidArgument(f"tls: {name}: expected a PEM file, got {str(path)!r}, which is not a file")


@dataclass(frozen=True)
class Connection:
    """One gRPC address (host:port) or several, the timeout of a request, and the TLS files if it is encrypted."""

    address: str | Sequence[str] = DEFAULT_ADDRESS
    timeout_seconds: float = 60.0
    tls: Tls | None = None
    retry: bool = True

    def __post_init__(self):
        host, _, port = self.target.rpartition(":")
        is_valid = host and "/" not in host and port.isdecimal() and 0 < int(port) < 65536
        if not is_balanced(self.address) and not is_valid:
            raise InvalidArgument(f"address: expected host:port, like {DEFAULT_ADDRESS!r}, got {self.address!r}")
        if not self.timeout_seconds > 0:
            raise InvalidArgument(f"timeout_seconds: expected more than 0, got {self.timeout_seconds}")
        if self.tls is not None:
            self._check_server_name(self.tls.server_name)

    def _check_server_name(self, server_name: str | None) -> None:
        """gRPC needs the name for a list of addresses, and takes it from the address in all other cases."""
        if self.target.startswith(LIST_SCHEME) and server_name is None:
            raise InvalidArgument("tls: several addresses need server_name, the host name in their certificates")
        if server_name is not None and not is_balanced(self.address):
            raise InvalidArgument("tls: server_name is for several servers; connect to one server by its host name")

    @property
    def target(self) -> str:
        """What gRPC connects to."""
        if isinstance(self.address, str) and not is_balanced(self.address):
            return self.address
        return balanced_target(self.address)

    def options(self) -> dict[str, Any]:
        """The keyword arguments of tritonclient's gRPC clients, which lift gRPC's message limit to 2 GiB themselves."""
        options: dict[str, Any] = {"url": self.target}
        if is_balanced(self.address):
            options["channel_args"] = channel_arguments(self.retry, self.tls.server_name if self.tls else None)
        if self.tls is not None:
            options |= {
                "ssl": True,
                "root_certificates": self.tls.root_ca,
                "certificate_chain": self.tls.certificate,
                "private_key": self.tls.key,
            }
        return options

    @contextmanager
    def translate_errors(self) -> Generator[None]:
        """Raise tritonclient's exceptions inside the block as a `ConvaiError`, chained to the original."""
        try:
            yield
        except InferenceServerException as error:
            raise to_convai_error(error, self.target, self.timeout_seconds) from error
