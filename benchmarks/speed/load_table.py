"""The figures of a benchmark as text: a line per path and load, and a line per step."""

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.speed.load_figures import LoadFigures
from benchmarks.tables import as_table

MEGABYTE = 1e6
HEADINGS = (
    "path",
    "in flight",
    "answers",
    "wrong",
    "p50 [ms]",
    "p90 [ms]",
    "p99 [ms]",
    "p50 / floor",
    "answers/s",
    "/ floor",
    "CPU [ms]",
    "PSS [MB]",
    "RSS [MB]",
)


def loads_table(measured: Sequence[LoadFigures]) -> str:
    return as_table([HEADINGS, *(load_line(figures) for figures in measured)])


def load_line(figures: LoadFigures) -> list[str]:
    memory = figures.memory
    return [
        figures.path,
        str(figures.in_flight),
        f"{figures.answers:.0f}",
        f"{figures.wrong:.0f}",
        *(f"{1000 * seconds:.0f}" for seconds in (figures.p50_seconds, figures.p90_seconds, figures.p99_seconds)),
        ratio(figures.latency_ratio),
        f"{figures.answers_per_second:.2f}",
        ratio(figures.throughput_ratio),
        "" if figures.processor_seconds is None else f"{1000 * figures.processor_seconds:.0f}",
        *([f"{size / MEGABYTE:.0f}" for size in (memory.pss_bytes, memory.rss_bytes)] if memory else ["", ""]),
    ]


def ratios_table(rounds: Iterable[Sequence[LoadFigures]], first: str) -> str:
    """One path over each other: medians of their ratios within a round; nothing if there is no other."""
    ratios: dict[tuple[str, int], list[tuple[float | None, ...]]] = {}
    for measured in rounds:
        (one,) = [figures for figures in measured if figures.path == first]
        for other in measured:
            if other.path != first:
                ratios.setdefault((other.path, one.in_flight), []).append(ratios_of(one, other))
    lines = [
        [path, str(in_flight), *(ratio(median_ratio(column)) for column in zip(*group, strict=True))]
        for (path, in_flight), group in ratios.items()
    ]
    return as_table([(f"{first} over", "in flight", "answers/s", "p50", "CPU"), *lines]) if lines else ""


def ratios_of(one: LoadFigures, other: LoadFigures) -> tuple[float | None, ...]:
    pairs = (
        (one.answers_per_second, other.answers_per_second),
        (one.p50_seconds, other.p50_seconds),
        (one.processor_seconds, other.processor_seconds),
    )
    return tuple(over and under and over / under for over, under in pairs)


def median_ratio(ratios: Sequence[float | None]) -> float | None:
    return None if None in ratios else median(filter(None, ratios))


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def steps_tables(measured: Sequence[LoadFigures]) -> str:
    """For each path that tells of its steps, a table of them with a column per load."""
    paths = dict.fromkeys(figures.path for figures in measured if figures.steps)
    return "\n\n".join(steps_table([figures for figures in measured if figures.path == path]) for path in paths)


def steps_table(loads: Sequence[LoadFigures]) -> str:
    path, columns = loads[0].path, [dict(zip(names(figures), cells(figures), strict=True)) for figures in loads]
    rows = dict.fromkeys(name for column in columns for name in column)
    lines = [
        [f"{path}, in flight:", *(str(figures.in_flight) for figures in loads)],
        *([name, *(column.get(name, "") for column in columns)] for name in rows),
    ]
    return as_table(lines)


def names(figures: LoadFigures) -> list[str]:
    return [*(step.step for step in figures.steps), "between the steps"]


def cells(figures: LoadFigures) -> list[str]:
    """Queue + compute in milliseconds, share of the mean latency, and mean batch size."""
    inside = sum(step.seconds for step in figures.steps)
    between = figures.mean_seconds - inside
    return [
        *(
            f"{1000 * step.queue_seconds:.1f} + {1000 * step.compute_seconds:.1f} "
            f"{percent(step.seconds / figures.mean_seconds)} x{step.mean_batch_size:.1f}"
            for step in figures.steps
        ),
        f"{1000 * between:.1f} {percent(between / figures.mean_seconds)}     ",
    ]


def percent(share: float) -> str:
    return f"{100 * share:3.0f} %"
