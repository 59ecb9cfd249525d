"""Named groups of items with their figures: what evaluations print and write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from convai.errors import InvalidArgument
from convai.tables import format_table


@dataclass(frozen=True)
class Measurement:
    """Figures over `count` items, in percent unless the figure's name says otherwise."""

    name: str
    count: int
    figures: Mapping[str, float]

    def __post_init__(self):
        if self.count < 1:
            raise InvalidArgument(f"{self.name}: expected at least 1 item to measure, got {self.count}")

    def build_record(self) -> dict[str, str | float]:
        return {"name": self.name, "n": self.count, **self.figures}


def format_measurements(measurements: Sequence[Measurement]) -> str:
    """Return a row per measurement and a column per figure; a figure that a row lacks is blank."""
    columns = list(dict.fromkeys(name for one in measurements for name in one.figures))
    rows = []
    for one in measurements:
        cells = [f"{one.figures[column]:.1f}" if column in one.figures else "" for column in columns]
        rows.append([one.name, str(one.count), *cells])
    return format_table(["", "n", *columns], rows)
