"""Where the server is and how to reach it; the same for every kind of client."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from convai.client.balancing import LIST_SCHEME, balanced_target, channel_arguments, is_balanced
from convai.client.errors import explained
from convai.errors import InvalidArgument

DEFAULT_ADDRESS = "127.0.0.1:8001"
File = str | PathLike[str]


@dataclass(frozen=True)
class Tls:
    """PEM files for an encrypted connection.

    Attributes
    ----------
    root_ca : the authority that signed the server's certificate; None for the system's own list
    certificate, key : what the client shows a server that asks for it (mutual TLS)
    server_name : whom the certificates of several servers are for; None for the host of a DNS name
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
                raise InvalidArgument(f"tls: {name} {str(path)!r} is not a file; expected a PEM file")


@dataclass(frozen=True)
class Connection:
    """The gRPC address (host:port), or several, the time a request may take, and the TLS files if it is encrypted."""

    address: str | Sequence[str] = DEFAULT_ADDRESS
    timeout_seconds: float = 60.0
    tls: Tls | None = None
    retry: bool = True

    def __post_init__(self):
        host, _, port = self.target.rpartition(":")
        if not is_balanced(self.address) and (
            not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536
        ):
            raise InvalidArgument(f"address {self.address!r} is not host:port; an example is {DEFAULT_ADDRESS!r}")
        if not self.timeout_seconds > 0:
            raise InvalidArgument(f"timeout_seconds is {self.timeout_seconds}; it must be above 0")
        if self.tls is not None:
            self._check_server_name(self.tls.server_name)

    def _check_server_name(self, server_name: str | None) -> None:
        """gRPC knows no name to look for in the certificates of a list, and takes the host of anything else."""
        is_list = self.target.startswith(LIST_SCHEME)
        if is_list and server_name is None:
            raise InvalidArgument("tls: server_name is needed for several addresses: whom their certificates are for")
        if server_name is not None and not is_balanced(self.address):
            raise InvalidArgument("tls: server_name is for several servers; connect to one by the name it has")

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
            files = {
                "root_certificates": self.tls.root_ca,
                "certificate_chain": self.tls.certificate,
                "private_key": self.tls.key,
            }
            options |= {"ssl": True} | files
        return options

    def explained(self) -> AbstractContextManager[None]:
        """Raise what tritonclient raises inside the block as a `ConvaiError`."""
        return explained(self.target, self.timeout_seconds)
