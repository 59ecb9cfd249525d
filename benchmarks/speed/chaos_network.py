"""A network of the program's own, where one server lies at the far end of a cable that can be unplugged.

All of it is in namespaces that vanish with the program; the machine's own network is not touched.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

NEAR, FAR = "198.18.0.1", "198.18.0.2"  # from the block that is set aside for tests of networks
OWN_NETWORK = ("unshare", "--map-root-user", "--net")  # anybody may, unless the machine forbids it
MARK = "CONVAI_CHAOS_NETWORK"  # in the environment of a program that has one
SECONDS = 10


def is_own() -> bool:
    return MARK in os.environ


def is_possible() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*OWN_NETWORK, "true"], stderr=subprocess.DEVNULL, timeout=SECONDS).returncode == 0


def start_anew() -> None:
    """Begin this program again in a network of its own; does not return."""
    os.environ[MARK] = "1"
    os.execvp(OWN_NETWORK[0], [*OWN_NETWORK, sys.executable, *sys.orig_argv[1:]])


class Cable:
    """Leads from this network, which is to be the program's own, to another with nothing but the address `FAR`."""

    def __init__(self, far_process: int) -> None:
        self.at_far_end = ("nsenter", f"--target={far_process}", "--net", "--")  # before the command to run there
        ip("link", "set", "lo", "up")
        ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far_process))
        ip("address", "add", f"{NEAR}/30", "dev", "near")
        ip("link", "set", "near", "up")
        self._far("link", "set", "lo", "up")
        self._far("address", "add", f"{FAR}/30", "dev", "far")
        self.plug_in()

    def unplug(self) -> None:
        """What is sent from now on is lost, in both directions, and nobody is told."""
        self._far("link", "set", "far", "down")

    def plug_in(self) -> None:
        self._far("link", "set", "far", "up")

    def _far(self, *words: str) -> None:
        ip(*words, before=self.at_far_end)


@contextmanager
def cable() -> Generator[Cable]:
    """A cable whose far end exists for as long as the block runs."""
    held = ["unshare", "--net", "sh", "-c", "echo ready && exec cat"]  # until its input ends
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as far_end:
        assert far_end.stdout is not None
        far_end.stdout.readline()
        yield Cable(far_end.pid)


def ip(*words: str, before: tuple[str, ...] = ()) -> None:
    subprocess.run([*before, "ip", *words], check=True, timeout=SECONDS)
