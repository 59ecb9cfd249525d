"""Plain-text tables of what programs report."""

from collections.abc import Iterable, Sequence


def format_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return columns side by side: the first left-aligned, the others right-aligned.

    Parameters
    ----------
    headers : one per column
    rows : each with one cell per column
    """
    lines = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_align(line, widths).rstrip() for line in lines)


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    right = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return "  ".join([first.ljust(widths[0]), *right])
