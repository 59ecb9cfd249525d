"""`convai talk` as a process of its own, as a user starts it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

READY_SECONDS = 120
STOP_SECONDS = 30


class TalkProcess:
    """Runs from `with` to its end. `url` is the page's address, `lines` what it has printed."""

    def __init__(self, *options, environment=None):
        self.command = [sys.executable, "-m", "convai", "talk", "--port=0", *options]
        self.environment = {**os.environ, **(environment or {})}
        self.lines = []
        self.is_ready = threading.Event()

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.is_ready.wait(READY_SECONDS) or self.process.poll() is not None:
            self.__exit__()
            raise AssertionError("not ready:\n" + "".join(self.lines))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(STOP_SECONDS)
        self.reader.join(STOP_SECONDS)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("ready"):
                self.is_ready.set()
        self.is_ready.set()

    @property
    def url(self):
        return next(line.split()[1] for line in self.lines if line.startswith("page"))

    @property
    def resident_bytes(self):
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
