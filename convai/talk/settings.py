"""Limits of the web process."""

from dataclasses import dataclass

from convai.errors import InvalidArgument


@dataclass(frozen=True)
class Settings:
    """Limits of the web process.

    Attributes
    ----------
    api_key : the key that callers of /v1 have to send; None admits everyone
    max_upload_bytes : of one request's body
    max_concurrent : requests and listening pages served at once
    timeout_seconds : how long the server may take for one answer
    """

    api_key: str | None = None
    max_upload_bytes: int = 25 * 1024 * 1024
    max_concurrent: int = 32
    timeout_seconds: float = 30.0

    def __post_init__(self):
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.strip() == self.api_key != ""):
            raise InvalidArgument("api_key: expected ASCII text without spaces around it, got something else")
        for name in ("max_upload_bytes", "max_concurrent", "timeout_seconds"):
            if not getattr(self, name) > 0:
                raise InvalidArgument(f"{name}: expected a number above 0, got {getattr(self, name)}")
