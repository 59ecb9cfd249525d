"""Exports several networks, two at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from convai.networks.export.export import Export, Job, export, installed_export
from convai.networks.export.parity import CaseParity

AT_ONCE = 2  # an export keeps one core busy for 30 s and takes 1 GB


def export_all(jobs: Sequence[Job], model_repository: Path, force: bool = False) -> Iterator[tuple[Export, bool]]:
    """Export all jobs, or without `force` those whose installed file is not up to date.

    Yields the export of each job, in order, and whether it was up to date. Raises what `export` raises.
    """
    installed = [None if force else installed_export(job, model_repository) for job in jobs]
    missing = [job for job, found in zip(jobs, installed, strict=True) if found is None]
    with run_exports(missing, model_repository) as exports:
        for found in installed:
            yield (found, True) if found else (next(exports), False)


@contextmanager
def run_exports(jobs: Sequence[Job], model_repository: Path) -> Iterator[Iterator[Export]]:
    """Run all jobs; a single one runs in this process, which has imported PyTorch already."""
    if len(jobs) < 2:
        yield (export(job, model_repository) for job in jobs)
        return
    pool = ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn"))  # PyTorch's threads do not survive a fork
    try:
        made = pool.map(export_in_worker, jobs, repeat(model_repository))
        yield (Export(job, *result) for job, result in zip(jobs, made, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def export_in_worker(job: Job, model_repository: Path) -> tuple[Path, tuple[CaseParity, ...]]:
    """Return the parts of an export besides its job, whose weights would be slow to send back."""
    result = export(job, model_repository)
    return result.path, result.parity
