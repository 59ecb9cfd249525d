"""Plain text tables, as programs print them."""

from collections.abc import Sequence


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return one line per row under a line of headers; the first column is aligned left, the others right."""
    lines = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(format_line(line, widths) for line in lines)


def format_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    columns = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
    return "  ".join(columns).rstrip()
