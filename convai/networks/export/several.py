"""Exports several networks, two at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from convai.networks.export.export import Export, Job, export, installed_export
from convai.networks.export.parity import CaseParity

AT_ONCE = 2  # an export keeps one core busy for half a minute and takes a gigabyte


def export_all(jobs: Sequence[Job], model_repository: Path, force: bool = False) -> Iterator[tuple[Export, bool]]:
    """Export whatever is not installed and up to date, or everything by `force`.

    Yields the export of each job, in their order, and whether it was up to date. Raises what `export` raises.
    """
    installed = [None if force else installed_export(job, model_repository) for job in jobs]
    missing = [job for job, found in zip(jobs, installed, strict=True) if found is None]
    with exports_of(missing, model_repository) as exports:
        for found in installed:
            yield (found, True) if found else (next(exports), False)


@contextmanager
def exports_of(jobs: Sequence[Job], model_repository: Path) -> Iterator[Iterator[Export]]:
    """The exports of all jobs; a single one is made in this process, which has imported all that it takes."""
    if len(jobs) < 2:
        yield (export(job, model_repository) for job in jobs)
        return
    pool = ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn"))  # PyTorch's threads survive no fork
    try:
        made = pool.map(made_elsewhere, jobs, repeat(model_repository))
        yield (Export(job, *result) for job, result in zip(jobs, made, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def made_elsewhere(job: Job, model_repository: Path) -> tuple[Path, tuple[CaseParity, ...]]:
    """What there is to know of an export besides its job, whose weights need not be sent back."""
    result = export(job, model_repository)
    return result.path, result.parity
