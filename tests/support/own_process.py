"""Tests whose subject a process full of other tests' native libraries would break.

The threads of gRPC do not survive a fork, and OpenVINO replaces the stack that Python's signal handlers run on.
"""

import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Result = TypeVar("Result")
MOST_SECONDS = 120  # less than a test may take


def run_in_own_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function of a test module in a new process that starts empty, and that its own alarm ends if it hangs."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=signal.alarm, initargs=(MOST_SECONDS,)) as pool:
        return pool.submit(function, *arguments).result()
