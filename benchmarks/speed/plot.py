"""Draws a benchmark: processor time, throughput and latency of each path over the load, and memory."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from benchmarks.speed.figures import LoadFigures

COLOURS = {
    "ensemble": "tab:blue",
    "step-by-step": "tab:orange",
    "in-process": "black",
    "compare": "tab:cyan",
    "fastapi": "tab:green",
    "ray": "tab:red",
    "pytriton": "tab:purple",
}
GIGABYTE = 1e9


def plot_loads(file: Path, measured: Sequence[LoadFigures], title: str) -> None:
    """Write a picture to `file`, whose suffix selects the format (.png, .svg, .pdf)."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    figure.suptitle(title)
    (processor, throughput), (latency, memory) = figure.subplots(2, 2)
    draw_lines(processor, measured, lambda one: one.processor_seconds)
    processor.set(title="Processor time per answer, all processes", ylabel="seconds")
    draw_lines(throughput, measured, lambda one: one.answers_per_second)
    throughput.set(title="Throughput", ylabel="answers per second")
    draw_lines(latency, measured, lambda one: one.p50_seconds)
    latency.set(title="Latency to the complete answer, p50", ylabel="seconds")
    draw_memory(memory, measured)
    figure.legend(*processor.get_legend_handles_labels(), loc="outside lower center", ncols=len(COLOURS))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def draw_lines(axes: Axes, measured: Sequence[LoadFigures], read_figure: Callable[[LoadFigures], float | None]) -> None:
    """Draw a line per path over the loads; in-process, which takes one request at a time, is a level."""
    for path in dict.fromkeys(figures.path for figures in measured):
        points = [(one.in_flight, value) for one in measured if one.path == path and (value := read_figure(one))]
        if path == "in-process":
            axes.axhline(points[0][1], color=COLOURS[path], linestyle="--", label=f"{path}, one at a time")
        elif points:
            axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[path], label=path)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({figures.in_flight for figures in measured}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("requests in flight")
    axes.set_ylim(0, None)
    axes.grid(alpha=0.3)


def draw_memory(axes: Axes, measured: Sequence[LoadFigures]) -> None:
    """Draw a bar per path: its highest memory under any load."""
    peaks: dict[str, float] = {}
    for figures in measured:
        if figures.pss_bytes is not None:
            peaks[figures.path] = max(peaks.get(figures.path, 0), figures.pss_bytes)
    axes.bar(list(peaks), [peak / GIGABYTE for peak in peaks.values()], color=[COLOURS[path] for path in peaks])
    axes.set(title="Memory of all processes (PSS)", ylabel="GB")
    axes.grid(axis="y", alpha=0.3)
