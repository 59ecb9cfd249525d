"""TLS of the gRPC port: tritonserver's options, and how the launcher itself connects.

With mutual TLS the launcher is a client like any other and shows a certificate: its own, or else the server's.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from convai.errors import InvalidArgument

HANDSHAKE_ROUNDS = 3  # TLS 1.3 needs two


@dataclass(frozen=True)
class ControlTls:
    """How the launcher connects: it trusts exactly the server's certificate, under a host name that this contains.

    The certificates (PEM) are those of the start: renewed files are used by server and launcher from the next start on.
    """

    server_cert: bytes
    server_name: str
    cert: bytes | None = None
    key: bytes | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.server_cert, self.key, self.cert)

    def channel_arguments(self) -> list[tuple[str, str]]:
        return [("grpc.ssl_target_name_override", self.server_name)]


@dataclass(frozen=True)
class ServerTls:
    """PEM files that turn on TLS for gRPC; with `root_cert`, clients must show a certificate signed by it.

    Then the launcher, which is such a client, shows `control_cert` with `control_key`; by default those of the server.
    """

    cert: Path
    key: Path
    root_cert: Path | None = None
    control_cert: Path | None = None
    control_key: Path | None = None

    def __post_init__(self):
        if (self.control_cert is None) != (self.control_key is None):
            raise InvalidArgument("TLS: the launcher's certificate and key belong together; give both or neither")
        for path in filter(None, (self.cert, self.key, self.root_cert, self.control_cert, self.control_key)):
            if not path.is_file():
                raise FileNotFoundError(f"TLS file {path} does not exist")

    def options(self) -> list[str]:
        certificate = [f"--grpc-server-cert={self.cert.resolve()}", f"--grpc-server-key={self.key.resolve()}"]
        if self.root_cert is None:
            return ["--grpc-use-ssl=true", *certificate]
        return ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.root_cert.resolve()}", *certificate]

    def for_control(self) -> ControlTls:
        """How the launcher connects; InvalidArgument if server and launcher would refuse each other."""
        own = (self.control_cert or self.cert, self.control_key or self.key)
        name = self._shake_hands(*own)
        return ControlTls(self.cert.read_bytes(), name, *(path.read_bytes() for path in own if self.root_cert))

    def _shake_hands(self, control_cert: Path, control_key: Path) -> str:
        """Let a server and a launcher with these files connect in memory, and return a host name of the server."""
        try:
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(self.cert, self.key, password="")
            client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            client.check_hostname = False
            client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            client.load_verify_locations(self.cert)
            if self.root_cert:
                server.load_verify_locations(self.root_cert)
                server.verify_mode = ssl.CERT_REQUIRED
                client.load_cert_chain(control_cert, control_key, password="")
            return host_name(connect_in_memory(server, client))
        except ssl.SSLError as error:
            hint = f"; the CA must have signed {control_cert}, which convai itself shows, for clients"
            raise InvalidArgument(
                f"TLS: {self.cert}, {self.key} and {self.root_cert or 'no CA'} do not fit ({error})"
                + (hint if self.root_cert else "")
            ) from error


def connect_in_memory(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, Any]:
    """Shake hands without a network; return the server's certificate as the client decodes it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = client.wrap_bio(to_client, to_server)
    other_end = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(HANDSHAKE_ROUNDS):
        for end in (connection, other_end):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return connection.getpeercert() or {}


def host_name(certificate: dict[str, Any]) -> str:
    """A host name or address that the certificate contains; "" if there is none."""
    names = [name for kind, name in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    names += [name for part in certificate.get("subject", ()) for kind, name in part if kind == "commonName"]
    return names[0].replace("*", "any") if names else ""
