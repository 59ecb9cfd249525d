"""Draws one request as a timeline: a lane per step, with the time in its queue and in its computation.

How long each step took is measured inside the server. Where its bar stands is not: Triton's statistics have no
clock times, and its traces need a server that was started for them and a view of its disk. So a bar begins where the
last of the steps ends whose outputs it takes; on an idle server that is within a millisecond of what traces show.
"""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convai.client.step_times import StepTime, TimedAnswer
from convai.description.pipeline import Call

PARTS = {  # what a lane consists of, in order: its colour, and that of text on it
    "queue": ("#c9ced6", "black"),
    "input": ("#5aa9e6", "black"),
    "infer": ("#1f5fa8", "white"),
    "output": ("#f28e2b", "black"),
}
LANE_INCHES = 0.34
TITLE_CHARACTERS = 100
FOOTNOTE = "Lengths are measured, in Triton's statistics. A bar begins where the last step that it waits for ends."
HEAD_ROW = -0.95  # of the table, above the first lane


@dataclass(frozen=True)
class Lane:
    """One step of the request, and when its time began, in seconds after that of the first."""

    start_seconds: float
    time: StepTime

    @property
    def end_seconds(self) -> float:
        return self.start_seconds + self.time.seconds


def lanes(times: Iterable[StepTime], calls: Iterable[Call]) -> list[Lane]:
    """Place each measured step after those whose outputs it takes; `calls` are an ensemble's, in order."""
    measured = {time.step: time for time in times}
    made_at = {}  # seconds at which a tensor of the ensemble was there
    placed = []
    for call in calls:
        start = max((made_at.get(tensor, 0.0) for tensor in call.inputs.values()), default=0.0)
        if call.step in measured:
            placed.append(Lane(start, measured[call.step]))
            start = placed[-1].end_seconds
        made_at |= dict.fromkeys(call.outputs.values(), start)
    return placed


def draw_timeline(path: Path, name: str, timed: TimedAnswer, calls: Iterable[Call]) -> None:
    """Write a picture to `path`, whose ending chooses the format (.png, .svg, .pdf); `name` is the question's."""
    placed = lanes(timed.steps, calls)
    figure = Figure(figsize=(12, 1.8 + LANE_INCHES * len(placed)), layout="constrained")
    bar_axes, table_axes = figure.subplots(ncols=2, sharey=True, width_ratios=(2.3, 1))
    end = max(lane.end_seconds for lane in placed)
    _draw_bars(bar_axes, placed)
    bar_axes.set(xlim=(0, 1.005 * end), xlabel="time inside the server [s]")
    bar_axes.set_title(_title(name, timed), loc="left", fontsize=11, parse_math=False, linespacing=1.5, pad=14)
    _draw_table(table_axes, placed)
    figure.supxlabel(FOOTNOTE, x=0.005, ha="left", fontsize=8, color="dimgray")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _draw_bars(axes: Axes, placed: list[Lane]) -> None:
    for row, lane in enumerate(placed):
        left = lane.start_seconds
        for part, (colour, _) in PARTS.items():
            seconds = getattr(lane.time, f"{part}_seconds")
            # The edge keeps a short part visible as a hairline.
            axes.barh(row, seconds, left=left, height=0.62, color=colour, edgecolor=colour, linewidth=0.4)
            left += seconds
    axes.set_yticks(range(len(placed) + 1), [*(lane.time.step for lane in placed), "all"])
    axes.set_ylim(len(placed) + 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.4)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    _shade_every_other_row(axes, len(placed))


def _draw_table(axes: Axes, placed: list[Lane]) -> None:
    """Every part's milliseconds beside its lane; the heads of the columns are the legend."""
    columns = {part: [getattr(lane.time, f"{part}_seconds") for lane in placed] for part in PARTS}
    columns["total"] = [lane.time.seconds for lane in placed]
    for column, (head, seconds) in enumerate(columns.items()):
        colour, text_colour = PARTS.get(head, ("none", "black"))
        box = {"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
        _write(axes, column, HEAD_ROW, head, color=text_colour, bbox=box)
        for row, value in enumerate([*seconds, sum(seconds)]):
            is_sum = row == len(placed) or head == "total"
            _write(axes, column, row, _milliseconds(value), weight="bold" if is_sum else "normal")
    axes.set(xlim=(-0.9, len(columns) - 0.9), xlabel="milliseconds")
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.spines[:].set_visible(False)
    _shade_every_other_row(axes, len(placed))


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f}" if seconds < 1 else f"{1000 * seconds:,.0f}"


def _write(axes: Axes, column: int, row: float, text: str, **style: Any) -> None:
    axes.text(column, row, text, ha="right", va="center", fontsize=9.5, **style)


def _shade_every_other_row(axes: Axes, num_lanes: int) -> None:
    """Lead the eye from a step's name to its numbers."""
    for row in range(0, num_lanes, 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f3f5f8", zorder=0)


def _title(name: str, timed: TimedAnswer) -> str:
    answer = timed.answer
    told = f"{name}: {answer.question or '(nothing heard)'} \N{RIGHTWARDS ARROW} {answer.answer or '(no answer)'}"
    lines = [
        textwrap.shorten(told, TITLE_CHARACTERS, placeholder=" ..."),
        f"{_milliseconds(timed.round_trip_seconds)} ms until the client had the answer",
    ]
    most = max(time.requests for time in timed.steps)
    if most > 1:
        lines.append(f"others used the server too: the bars are means over up to {most} requests")
    return "\n".join(lines)
