"""The text that a conversation agent answers from, read again when its file changes."""

from pathlib import Path

from convai.client.command_options import read_text
from convai.description.limits import MAX_CONTEXT_BYTES


class ContextFile:
    """A UTF-8 text file of up to 32 KiB; raises InvalidArgument if it is something else."""

    def __init__(self, path: Path):
        self.path = path.absolute()
        self.stamp: tuple[int, ...] | None = None
        self.text = ""
        self.read()

    def read(self) -> str:
        """Return what the file holds now."""
        stamp = self._read_stamp()
        if stamp is None or stamp != self.stamp:
            self.text = read_text("--context", str(self.path), "to answer from", MAX_CONTEXT_BYTES)
            self.stamp = stamp
        return self.text

    def _read_stamp(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None  # `read_text` reports it
        return found.st_mtime_ns, found.st_size, found.st_ino
