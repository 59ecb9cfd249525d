"""Writes a network with a loop as one ONNX model: exports its parts one by one and joins them around a Loop operator.

PyTorch's exporter traces, and a trace cannot hold a loop whose end depends on its results.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import compose, helper, numpy_helper

from convai.networks.export.onnx_trace import trace
from convai.networks.network import Axes, LoopParts, Tensors

FIRST = torch.tensor(0)
BEGIN = "begin"  # the condition for the first iteration


def trace_loop(parts: LoopParts, inputs: Tensors, axes: Mapping[str, Axes], outputs: Sequence[str]) -> onnx.ModelProto:
    """Export all parts as one model.

    Parameters
    ----------
    axes : of the network's inputs, by name
    outputs : names of the network's outputs
    """
    with torch.no_grad():
        # Copies, because the exporter merges inputs that are the same tensor.
        state, constants = (tuple(value.clone() for value in values) for values in parts.opening(*inputs))
        _, later = parts.turn(FIRST, state, constants)
    opened = [*map(_first, parts.state), *parts.constants]
    opening = trace(parts.opening, inputs, tuple(axes.values()), axes, opened)
    turn_axes = {}, tuple(parts.state.values()), tuple(parts.constants.values())
    turn_names = ["index", *parts.state, *parts.constants]
    turn = trace(parts.turn, (FIRST, state, constants), turn_axes, turn_names, ["go_on", *map(_next, parts.state)])
    by_name = dict(zip(parts.state, later, strict=True))
    finals = {name: parts.state[name] for name in parts.closing_state}
    stacked = {0: "turns"} | {axis + 1: name for axis, name in parts.state[parts.collected].items()}
    examples = torch.stack([by_name[parts.collected]] * 3), *(by_name[name] for name in finals)
    closing = trace(parts.closing, examples, (stacked, *finals.values()), [parts.collected, *finals], outputs)
    return join(parts, opening, turn, closing)


def join(
    parts: LoopParts, opening: onnx.ModelProto, turn: onnx.ModelProto, closing: onnx.ModelProto
) -> onnx.ModelProto:
    first = _add_prefix(opening, "opening/", keep_ends=True)
    body = _loop_body(_add_prefix(turn, "turn/"), parts)
    last = _add_prefix(closing, "closing/", keep_outputs=True)
    loop = helper.make_node(
        "Loop",
        ["", BEGIN, *map(_first, parts.state)],
        [*map(_last, parts.state), f"closing/{parts.collected}"],
        body=body,
    )
    handed_on = [helper.make_node("Identity", [_last(name)], [f"closing/{name}"]) for name in parts.closing_state]
    graph = helper.make_graph(
        [*first.node, loop, *handed_on, *last.node],
        "loop",
        first.input,
        last.output,
        [*first.initializer, *last.initializer, numpy_helper.from_array(np.array(True), BEGIN)],
    )
    return helper.make_model(graph, ir_version=opening.ir_version, opset_imports=opening.opset_import)


def _loop_body(turn: onnx.GraphProto, parts: LoopParts) -> onnx.GraphProto:
    """Return the iteration as a Loop body: condition in and out, and the collected tensor after the state."""
    for node in turn.node:  # constants come from the graph around the loop
        for place, name in enumerate(node.input):
            if name.removeprefix("turn/") in parts.constants:
                node.input[place] = name.removeprefix("turn/")
    index, *state = (value for value in turn.input if value.name.removeprefix("turn/") not in parts.constants)
    kept = next(value for value in turn.output if value.name == f"turn/{_next(parts.collected)}")
    collected = onnx.ValueInfoProto()
    collected.CopyFrom(kept)
    collected.name = "turn/collected"
    return helper.make_graph(
        [*turn.node, helper.make_node("Identity", [kept.name], [collected.name])],
        "turn",
        [index, helper.make_tensor_value_info("turn/went_on", onnx.TensorProto.BOOL, []), *state],
        [*turn.output, collected],
        turn.initializer,
    )


def _add_prefix(
    model: onnx.ModelProto, prefix: str, keep_ends: bool = False, keep_outputs: bool = False
) -> onnx.GraphProto:
    return compose.add_prefix(
        model,
        prefix,
        rename_inputs=not keep_ends,
        rename_outputs=not (keep_ends or keep_outputs),
        rename_functions=False,
    ).graph


def _first(name: str) -> str:
    return f"{name}.first"


def _next(name: str) -> str:
    return f"{name}.next"


def _last(name: str) -> str:
    return f"{name}.last"
