"""Draws a benchmark: throughput and latency of each path over the load, and where the time of a request goes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from benchmarks.speed.load_figures import LoadFigures
from convai.description.pipeline import STEPS

COLOURS = {
    "ensemble": "tab:blue",
    "step-by-step": "tab:orange",
    "floor": "black",
    "beside": "tab:cyan",
    "fastapi": "tab:green",
    "ray": "tab:red",
    "pytriton": "tab:purple",
}
STEP_COLOURS = {step.name: matplotlib.colormaps["tab20"](number) for number, step in enumerate(STEPS)}
BETWEEN_COLOUR = "lightgrey"
STEPPED_PATHS = ("ensemble", "step-by-step", "beside")  # of which the first two measured are drawn step by step
GIGABYTE = 1e9


def plot_loads(file: Path, measured: Sequence[LoadFigures], title: str) -> None:
    """Write a picture to `file`, whose ending chooses the format (.png, .svg, .pdf)."""
    figure = Figure(figsize=(17, 9), layout="constrained")
    figure.suptitle(title)
    (throughput, latency, processor), (*shares, memory) = figure.subplots(2, 3)
    draw_throughput(throughput, measured)
    draw_latency(latency, measured)
    draw_processor_time(processor, measured)
    draw_memory(memory, measured)
    draw_all_steps(shares, measured)
    figure.legend(*legend_of(shares), loc="outside lower center", ncols=7, fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def draw_throughput(axes: Axes, measured: Sequence[LoadFigures]) -> None:
    for path, loads in by_path(measured).items():
        rates = [figures.answers_per_second for figures in loads]
        draw_path(axes, path, loads, rates)
    axes.set(title="Throughput", ylabel="answers per second", ylim=(0, None))
    finish_load_axis(axes, measured)


def draw_latency(axes: Axes, measured: Sequence[LoadFigures]) -> None:
    for path, loads in by_path(measured).items():
        draw_path(axes, path, loads, [figures.p50_seconds for figures in loads])
        if path != "floor":
            low, high = ([getattr(one, f"p{rank}_seconds") for one in loads] for rank in (50, 99))
            axes.fill_between([one.in_flight for one in loads], low, high, color=COLOURS[path], alpha=0.15)
    axes.set(title="Latency to the complete answer: p50, shaded up to p99", ylabel="seconds", ylim=(0, None))
    finish_load_axis(axes, measured)


def draw_processor_time(axes: Axes, measured: Sequence[LoadFigures]) -> None:
    known = [figures for figures in measured if figures.processor_seconds is not None]
    for path, loads in by_path(known).items():
        draw_path(axes, path, loads, [figures.processor_seconds or 0.0 for figures in loads])
    axes.set(title="Processor time per answer, all processes", ylabel="seconds", ylim=(0, None))
    finish_load_axis(axes, measured)


def draw_memory(axes: Axes, measured: Sequence[LoadFigures]) -> None:
    """A bar per path: the most that it took under any load."""
    known = [(figures.path, figures.memory.pss_bytes) for figures in measured if figures.memory]
    for path in dict(known):
        axes.bar(path, max(size for one, size in known if one == path) / GIGABYTE, color=COLOURS[path])
    axes.set(title="Memory of all processes (PSS)", ylabel="GB")
    axes.tick_params(axis="x", rotation=30)
    axes.grid(axis="y", alpha=0.3)


def draw_path(axes: Axes, path: str, loads: Sequence[LoadFigures], values: Sequence[float]) -> None:
    """A line over the loads; the floor, which takes one request at a time, is a level."""
    if path == "floor":
        axes.axhline(values[0], color=COLOURS[path], linestyle="--", label="floor, one at a time")
    else:
        axes.plot([figures.in_flight for figures in loads], values, "o-", color=COLOURS[path], label=path)


def finish_load_axis(axes: Axes, measured: Sequence[LoadFigures]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({figures.in_flight for figures in measured}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("requests in flight")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def draw_all_steps(shares: Sequence[Axes], measured: Sequence[LoadFigures]) -> None:
    """Those of one path to each axes."""
    by_its_steps = by_path(measured)
    paths = [path for path in STEPPED_PATHS if path in by_its_steps]
    shares[1].sharey(shares[0])
    for axes, path in zip(shares, paths, strict=False):
        draw_steps(axes, path, by_its_steps[path])
    for axes in shares[len(paths) :]:
        axes.set_visible(False)


def draw_steps(axes: Axes, path: str, loads: Sequence[LoadFigures]) -> None:
    """Stacked bars of each step's compute, and hatched its queue."""
    for position, figures in enumerate(loads):
        height = 0.0
        for step in figures.steps:
            colour = STEP_COLOURS[step.step]
            axes.bar(position, step.queue_seconds, bottom=height, color=colour, alpha=0.5, hatch="///")
            height += step.queue_seconds
            axes.bar(position, step.compute_seconds, bottom=height, color=colour, label=step.step)
            height += step.compute_seconds
        between = max(0.0, figures.mean_seconds - height)
        axes.bar(position, between, bottom=height, color=BETWEEN_COLOUR, label="between the steps")
    axes.set_xticks(range(len(loads)), [str(figures.in_flight) for figures in loads])
    axes.set(title=f"{path}: mean time of a request, hatched in queues", xlabel="requests in flight", ylabel="seconds")
    axes.grid(axis="y", alpha=0.3)


def legend_of(axes_list: Sequence[Axes]) -> tuple[list, list[str]]:
    """One entry for each step."""
    entries = {}
    for axes in axes_list:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)


def by_path(measured: Sequence[LoadFigures]) -> dict[str, list[LoadFigures]]:
    paths = {}
    for figures in measured:
        paths.setdefault(figures.path, []).append(figures)
    return paths
