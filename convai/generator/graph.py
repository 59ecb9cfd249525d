"""Draws an ensemble as a Mermaid flowchart."""

from convai.description.pipeline import NETWORK_NAMES
from convai.description.wiring import Wiring

CALLER = "caller"
ANSWER = "answer"


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
