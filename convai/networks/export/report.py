"""Tells how exports compare with their networks, as a table to read and as records to keep."""

import json
from collections.abc import Iterable

from convai.networks.export.export import Export
from convai.networks.export.parity import CaseParity

HEADER = ("network", "config", "format", "precision", "inputs", "largest difference", "allowed")


def table(results: Iterable[Export]) -> str:
    """One line per network, format and parity case."""
    rows = [HEADER, *(row(result, case) for result in results for case in result.parity)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in rows)


def row(result: Export, case: CaseParity) -> tuple[str, ...]:
    job = result.job
    inputs = " ".join(f"{name} {size}" for name, size in case.case.items() if name != "seed")
    figures = (f"{case.largest_difference:.1e}", f"{job.tolerance.largest_difference:.0e}")
    return (job.network.name, job.weights.config_name, job.format_name, job.precision, inputs, *figures)


def as_json(results: Iterable[Export]) -> str:
    return json.dumps([result.record() for result in results], indent=2) + "\n"
