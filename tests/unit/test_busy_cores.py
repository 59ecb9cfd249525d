"""Cores that other steps leave; a lock through a file of its own counts as one of another process."""

import fcntl
import os
from contextlib import contextmanager

import pytest

from convai.backends.runtime import busy_cores
from convai.backends.runtime.busy_cores import FLOCK, count_idle_cores, mark_busy


@pytest.fixture(autouse=True)
def file(monkeypatch, tmp_path):
    """A file of locks on a machine of four cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    file = tmp_path / "locks"
    file.touch()
    opened = os.open(file, os.O_RDONLY)
    monkeypatch.setattr(busy_cores, "_open_file", lambda: opened)
    return file


@contextmanager
def busy_process(file, process_id):
    opened = os.open(file, os.O_RDONLY)
    fcntl.fcntl(opened, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, process_id, 1, 0))
    yield
    os.close(opened)  # as when a process dies


def count_in_another_process(file, monkeypatch):
    opened = os.open(file, os.O_RDONLY)
    with monkeypatch.context() as other:
        other.setattr(busy_cores, "_open_file", lambda: opened)
        return count_idle_cores(4)


def test_each_busy_process_takes_a_core_until_it_is_done_or_dies(file):
    assert count_idle_cores(4) == 4
    with busy_process(file, 700), busy_process(file, 30):
        assert count_idle_cores(4) == 2
        assert count_idle_cores(1) == 1
        with busy_process(file, 31), busy_process(file, 4_000_000), busy_process(file, 5):
            assert count_idle_cores(4) == 1
    assert count_idle_cores(4) == 4


def test_a_process_counts_for_others_while_it_is_busy_but_not_for_itself(file, monkeypatch):
    with mark_busy():
        assert count_idle_cores(4) == 4
        assert count_in_another_process(file, monkeypatch) == 3
    assert count_in_another_process(file, monkeypatch) == 4
