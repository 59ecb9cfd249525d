"""Draws an ensemble: Mermaid text for the README, or a picture."""

from convai.generator.pipeline import ENSEMBLES, STEPS
from convai.generator.wiring import Wiring, wire

CALLER = "caller"
ANSWER = "answer"


def edges(wiring: Wiring) -> list[tuple[str, str, list[str]]]:
    """Every pair of neighbours with the tensors that pass between them, in pipeline order.

    The caller stands at both ends: as `caller` before the first step and `answer` after the last.
    """
    maker = {edge: call.step for call in wiring.calls for edge in call.outputs.values()}
    passed: dict[tuple[str, str], list[str]] = {}
    for call in wiring.calls:
        for edge in call.inputs.values():
            passed.setdefault((maker.get(edge, CALLER), call.step), []).append(edge)
    for tensor in wiring.outputs:
        passed.setdefault((maker[tensor.name], ANSWER), []).append(tensor.name)
    return [(source, target, tensors) for (source, target), tensors in passed.items()]


def mermaid(wiring: Wiring) -> str:
    """Flowchart in Mermaid's language; networks are rounded, Python steps square."""
    networks = {step.name for step in STEPS if step.is_network}
    lines = ["flowchart LR", f"    {CALLER}([the caller])", f"    {ANSWER}([the answer])"]
    for call in wiring.calls:
        shape = f"({call.step})" if call.step in networks else f"[{call.step}]"
        lines.append(f"    {call.step}{shape}")
    for source, target, tensors in edges(wiring):
        lines.append(f"    {source} -- {'<br>'.join(tensors)} --> {target}")
    return "\n".join(lines) + "\n"


def wiring_of(ensemble_name: str) -> Wiring:
    """The wiring of one of the pipeline's ensembles; ValueError if there is none of that name."""
    ensembles = {ensemble.name: ensemble for ensemble in ENSEMBLES}
    if ensemble_name not in ensembles:
        raise ValueError(f"no ensemble is called {ensemble_name!r}; there are {', '.join(ensembles)}")
    return wire(ensembles[ensemble_name], {step.name: step for step in STEPS})


def draw(wiring: Wiring, path: str) -> None:
    """Draw the ensemble as rows of boxes into a picture; the suffix of `path` (.svg, .png, .pdf) says which kind."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = _rows(wiring)
    width = max(len(row) for row in rows)
    figure, axes = pyplot.subplots(figsize=(3.1 * width, 1.9 * len(rows)))
    places = {name: (3.1 * x, -1.9 * y) for y, row in enumerate(rows) for x, name in enumerate(row)}
    for name, (x, y) in places.items():
        axes.text(x, y, name, ha="center", va="center", fontsize=11, bbox=_box(name))
    for source, target, tensors in edges(wiring):
        _draw_edge(axes, places[source], places[target], tensors)
    axes.set_xlim(-1.4, 3.1 * (width - 1) + 1.4)
    axes.set_ylim(-1.9 * (len(rows) - 1) - 0.9, 0.9)
    axes.axis("off")
    axes.set_title(wiring.name)
    figure.savefig(path, bbox_inches="tight", dpi=110)
    pyplot.close(figure)


def _rows(wiring: Wiring) -> list[list[str]]:
    """Steps row by row: a row ends where a network's work ends, so hearing, understanding, speaking stand apart."""
    steps = [call.step for call in wiring.calls]
    starts = [i for i, step in enumerate(steps) if step in ("speech_features", "qa_tokenizer", "text_encoder")]
    rows = [steps[start:end] for start, end in zip(starts, [*starts[1:], len(steps)])]
    return [[CALLER], *rows, [ANSWER]]


def _box(name: str) -> dict:
    if name in (CALLER, ANSWER):
        return {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "black"}
    is_network = any(step.name == name and step.is_network for step in STEPS)
    return {"boxstyle": "round,pad=0.5" if is_network else "square,pad=0.5", "facecolor": "#cfe3ff" if is_network else "#eeeeee"}


def _draw_edge(axes, start, end, tensors) -> None:
    bend = 0.0 if start[1] == end[1] else 0.12
    arrow = {"arrowstyle": "->", "shrinkA": 34, "shrinkB": 34, "connectionstyle": f"arc3,rad={bend}", "color": "#555555"}
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    axes.text(*middle, "\n".join(tensors), ha="center", va="bottom", fontsize=7, color="#1a4d8f")
