"""Puts a network with a loop into one ONNX file: its parts are exported one by one and joined around a Loop operator.

PyTorch's exporter traces, and a trace cannot hold a loop that ends when its results say so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import compose, helper, numpy_helper
from torch import Tensor, nn

from convai.networks.export.onnx_trace import Axes, trace

FIRST = torch.tensor(0)
BEGIN = "begin"  # the condition under which there is a first turn


@dataclass(frozen=True)
class LoopParts:
    """A network as what stands before its loop, one turn of it, and what stands after it.

    Attributes
    ----------
    opening : the network's inputs -> (state at the start, constants), a tuple of tensors each
    turn : number of the turn, int64 scalar, state, constants -> (whether to go on, bool scalar, state). There is always
        a first turn.
    closing : what was collected, *those of the state named by `closing_state` -> the network's outputs
    state, constants : what every turn hands to the next, and what all of them see: axes by name
    collected : of the state, what is kept of every turn; `closing` gets it with an axis of turns in front
    """

    opening: nn.Module
    turn: nn.Module
    closing: nn.Module
    state: Mapping[str, Axes]
    constants: Mapping[str, Axes]
    collected: str
    closing_state: Sequence[str]


def trace_parts(
    parts: LoopParts, inputs: tuple[Tensor, ...], axes: Mapping[str, Axes], outputs: Sequence[str]
) -> onnx.ModelProto:
    """One model of all parts; `axes` are those of the network's inputs, by their names, `outputs` its outputs'."""
    with torch.no_grad():
        # Copies, since the exporter takes one tensor in two places for one input.
        state, constants = (tuple(value.clone() for value in values) for values in parts.opening(*inputs))
        _, later = parts.turn(FIRST, state, constants)
    started = [*map(_first, parts.state), *parts.constants]
    opening = trace(parts.opening, inputs, tuple(axes.values()), axes, started)
    turn_axes = {}, tuple(parts.state.values()), tuple(parts.constants.values())
    turn_names = ["index", *parts.state, *parts.constants]
    turn = trace(parts.turn, (FIRST, state, constants), turn_axes, turn_names, ["go_on", *map(_next, parts.state)])
    by_name = dict(zip(parts.state, later, strict=True))
    finals = {name: parts.state[name] for name in parts.closing_state}
    stacked = {0: "turns"} | {axis + 1: name for axis, name in parts.state[parts.collected].items()}
    examples = torch.stack([by_name[parts.collected]] * 3), *(by_name[name] for name in finals)
    closing = trace(parts.closing, examples, (stacked, *finals.values()), [parts.collected, *finals], outputs)
    return joined(parts, opening, turn, closing)


def joined(
    parts: LoopParts, opening: onnx.ModelProto, turn: onnx.ModelProto, closing: onnx.ModelProto
) -> onnx.ModelProto:
    first = _prefixed(opening, "opening/", keep_ends=True)
    body = _body(_prefixed(turn, "turn/"), parts)
    last = _prefixed(closing, "closing/", keep_outputs=True)
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


def _body(turn: onnx.GraphProto, parts: LoopParts) -> onnx.GraphProto:
    """The turn as ONNX wants a Loop's: condition in and out, and what is collected beside the state."""
    for node in turn.node:  # what all turns see comes from around the loop
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


def _prefixed(
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
