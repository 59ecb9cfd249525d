"""Limits of the web process."""

import re
from dataclasses import dataclass

from convai.errors import InvalidArgument

PUBLIC_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d+))?/?")
DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Settings:
    """Limits of the web process.

    Attributes
    ----------
    api_key : the key that callers of /v1 have to send; None admits everyone
    max_upload_bytes : of one request's body
    max_concurrent : requests and listening pages served at once
    timeout_seconds : how long the server may take for one answer
    public_url : where a proxy publishes this process, like https://talk.example
    """

    api_key: str | None = None
    max_upload_bytes: int = 25 * 1024 * 1024
    max_concurrent: int = 32
    timeout_seconds: float = 30.0
    public_url: str | None = None

    def __post_init__(self):
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.strip() == self.api_key != ""):
            raise InvalidArgument("api_key: expected ASCII text without spaces around it, got something else")
        if self.public_url is not None and self._match_public_url() is None:
            raise InvalidArgument(f"public_url: expected one like https://talk.example, got {self.public_url!r}")
        for name in ("max_upload_bytes", "max_concurrent", "timeout_seconds"):
            if not getattr(self, name) > 0:
                raise InvalidArgument(f"{name}: expected a number above 0, got {getattr(self, name)}")

    @property
    def public_origin(self) -> str | None:
        """The public URL as browsers send it in `Origin`."""
        if (url := self._match_public_url()) is None:
            return None
        port = "" if url["port"] in (None, DEFAULT_PORTS[url["scheme"]]) else f":{url['port']}"
        return f"{url['scheme']}://{url['host']}{port}"

    @property
    def public_host(self) -> str | None:
        url = self._match_public_url()
        return url["host"] if url else None

    def _match_public_url(self) -> re.Match[str] | None:
        return PUBLIC_URL.fullmatch((self.public_url or "").lower())
