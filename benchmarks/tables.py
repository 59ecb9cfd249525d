"""What evaluations and benchmarks print: text tables, and named groups of questions with their figures, as JSON too."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from convai.errors import InvalidArgument


@dataclass(frozen=True)
class Measurement:
    """Figures in percent over `count` items."""

    name: str
    count: int
    figures: Mapping[str, float]

    def __post_init__(self):
        if self.count < 1:
            raise InvalidArgument(f"{self.name}: got {self.count} items to measure; allowed is at least 1")


def as_table(lines: Sequence[Sequence[str]]) -> str:
    """Columns side by side, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(aligned(line, widths)).rstrip() for line in lines)


def aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = cells
    return [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]


def measurements_table(measurements: Sequence[Measurement]) -> str:
    """One line per measurement, one column per figure; a figure that a line lacks stays blank."""
    columns = list(dict.fromkeys(name for one in measurements for name in one.figures))
    lines = [["", "n", *columns]]
    for one in measurements:
        cells = (f"{one.figures[column]:.1f}" if column in one.figures else "" for column in columns)
        lines.append([one.name, str(one.count), *cells])
    return as_table(lines)


def as_records(measurements: Sequence[Measurement]) -> list[dict[str, str | float]]:
    return [{"name": one.name, "n": one.count, **one.figures} for one in measurements]


def as_json(measurements: Sequence[Measurement]) -> str:
    return json.dumps(as_records(measurements), indent=2)
