"""Draws an ensemble: Mermaid text for the README, or a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from convai.description.pipeline import NETWORK_NAMES
from convai.description.wiring import Wiring
from convai.errors import InvalidArgument

if TYPE_CHECKING:  # matplotlib takes longer to import than all the rest, and is rarely needed
    from matplotlib.axes import Axes

CALLER = "caller"
ANSWER = "answer"
PICTURES = (".svg", ".png", ".pdf")


def edges(wiring: Wiring) -> list[tuple[str, str, list[str]]]:
    """Return (producer, consumer, tensors) for every pair of neighbours, in the order of the pipeline.

    The caller appears twice: as `caller` before the first step and as `answer` after the last.
    """
    producers = {edge: call.step for call in wiring.calls for edge in call.outputs.values()}
    passed: dict[tuple[str, str], list[str]] = {}
    for call in wiring.calls:
        for edge in call.inputs.values():
            passed.setdefault((producers.get(edge, CALLER), call.step), []).append(edge)
    for tensor in wiring.outputs:
        passed.setdefault((producers[tensor.name], ANSWER), []).append(tensor.name)
    return [(source, target, tensors) for (source, target), tensors in passed.items()]


def mermaid(wiring: Wiring) -> str:
    """Return the flowchart as Mermaid text: networks are rounded, Python steps square."""
    lines = ["flowchart LR", f"    {CALLER}([the caller])", f"    {ANSWER}([the answer])"]
    for call in wiring.calls:
        shape = f"({call.step})" if call.step in NETWORK_NAMES else f"[{call.step}]"
        lines.append(f"    {call.step}{shape}")
    for source, target, tensors in edges(wiring):
        lines.append(f"    {source} -- {'<br>'.join(tensors)} --> {target}")
    return "\n".join(lines) + "\n"


def draw(wiring: Wiring, path: str) -> None:
    """Draw the ensemble into a picture; the suffix of `path` (.svg, .png, .pdf) selects the format.

    The layout is an N-squared chart: the steps on the diagonal, and each tensor where the row of its producer meets the
    column of its consumer, so lines never cross a box.
    """
    if Path(path).suffix not in PICTURES:
        raise InvalidArgument(f"--graph: expected a name that ends in {' or '.join(PICTURES)}, got {path}")
    # A bare Figure draws on every display and keeps no global state, unlike pyplot.
    from matplotlib.figure import Figure

    names = [CALLER, *(call.step for call in wiring.calls), ANSWER]
    place = {name: i for i, name in enumerate(names)}
    figure = Figure(figsize=(1.45 * len(names), 0.75 * len(names)))
    axes = figure.subplots()
    for source, target, tensors in edges(wiring):
        _draw_edge(axes, place[source], place[target], tensors)
    for name, i in place.items():
        axes.text(i, -i, name, ha="center", va="center", fontsize=10, bbox=_box(name), zorder=3)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0.6 - len(names), 0.6)
    axes.axis("off")
    axes.set_title(f"{wiring.name}: rows produce, columns consume; networks in blue", loc="left")
    figure.savefig(path, bbox_inches="tight", dpi=100)


def _box(name: str) -> dict[str, str]:
    is_network = name in NETWORK_NAMES
    shape = "round" if is_network or name in (CALLER, ANSWER) else "square"
    colour = "#cfe3ff" if is_network else "white" if name in (CALLER, ANSWER) else "#eeeeee"
    return {"boxstyle": f"{shape},pad=0.5", "facecolor": colour, "edgecolor": "#444444"}


def _draw_edge(axes: "Axes", producer: int, consumer: int, tensors: list[str]) -> None:
    axes.plot([producer, consumer], [-producer, -producer], color="#999999", linewidth=1, zorder=1)
    arrow = {"arrowstyle": "->", "color": "#999999", "shrinkB": 14}
    axes.annotate("", xy=(consumer, -consumer), xytext=(consumer, -producer), arrowprops=arrow, zorder=1)
    label = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": "#1a4d8f", "bbox": label}
    axes.text(consumer, -producer, "\n".join(tensors), zorder=2, **text)
