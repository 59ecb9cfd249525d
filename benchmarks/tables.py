"""What an evaluation prints: named groups of questions with their figures, as a text table or JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from convai.pipeline.mistakes import CallerMistake


@dataclass(frozen=True)
class Measurement:
    """Figures in percent over `count` items."""

    name: str
    count: int
    figures: Mapping[str, float]

    def __post_init__(self):
        if self.count < 1:
            raise CallerMistake(f"{self.name}: got {self.count} items to measure; allowed is at least 1")


def as_table(measurements: list[Measurement]) -> str:
    """One line per measurement, one column per figure; a figure that a line lacks stays blank."""
    columns = list(dict.fromkeys(name for one in measurements for name in one.figures))
    lines = [["", "n", *columns]]
    for one in measurements:
        cells = (f"{one.figures[column]:.1f}" if column in one.figures else "" for column in columns)
        lines.append([one.name, str(one.count), *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(aligned(line, widths)).rstrip() for line in lines)


def aligned(cells: list[str], widths: list[int]) -> list[str]:
    """The name to the left, numbers to the right."""
    return [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]


def as_json(measurements: list[Measurement]) -> str:
    return json.dumps([{"name": one.name, "n": one.count, **one.figures} for one in measurements], indent=2)
