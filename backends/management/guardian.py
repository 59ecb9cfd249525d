"""Outlives the launcher to clear what a server leaves behind when its launcher is killed.

python -m convai.backends.management.guardian FOLDER < a pipe that the launcher holds open for as long as it lives
"""

import signal
import sys
from pathlib import Path

from convai.backends.management.run_folder import clear


def main(folder: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever stops all processes leaves it to this one to be the last
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    if folder.exists():  # a launcher that ended in order has removed it
        clear(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
