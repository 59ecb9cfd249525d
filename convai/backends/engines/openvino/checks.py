"""Refuses inputs for which OpenVINO computes garbage instead of raising.

OpenVINO checks neither shapes against each other nor indices against the tables that they index.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import openvino

from convai.backends.engines.runs import Arrays
from convai.errors import InvalidArgument

Shapes = Mapping[str, tuple[int, ...]]
PASSING = ("Convert", "Reshape", "Unsqueeze")  # operations whose result holds the numbers of their first input
REFUSAL = "the network refuses its inputs: "


class InputChecks:
    """Checks the inputs of one model. Each set of shapes is propagated once, which takes as long as a run."""

    def __init__(self, model: Any):
        self.model = model
        self.known: set[tuple[tuple[str, tuple[int, ...]], ...]] = set()
        self.rows: dict[str, int] = {}  # by input: rows of the smallest table that it indexes
        self.positions: list[tuple[Any, int]] = []  # outputs that count from 0, and the rows of the table they index
        for node in model.get_ops():
            if node.get_type_name() == "Gather" and type_name(find_source(node.input_value(0))) == "Constant":
                self.add_table(rows=node.input_value(0).get_shape()[0], index=find_source(node.input_value(1)))

    def add_table(self, rows: int, index: Any) -> None:
        if type_name(index) == "Parameter":
            for name in index.get_names():
                self.rows[name] = min(rows, self.rows.get(name, rows))
        elif type_name(index) == "Range":
            self.positions.append((index, rows))

    def trust(self, shapes: Shapes) -> None:
        """Accept shapes from the configuration without checking them."""
        self.known.add(tuple(sorted(shapes.items())))

    def read_item_counts(self, shapes: Shapes, item_axes: int) -> tuple[int, ...]:
        """The sizes of the leading axes, which are the same for all inputs."""
        counts = {shape[:item_axes] for shape in shapes.values()}
        if len(counts) > 1 or not all(prod(shape) for shape in shapes.values()):
            raise InvalidArgument(
                f"{REFUSAL}expected non-empty inputs that agree in their first {item_axes} sizes, "
                f"got {format_shapes(shapes)}"
            )
        return counts.pop()

    def check_shapes(self, shapes: Shapes) -> None:
        key = tuple(sorted(shapes.items()))
        if key in self.known:
            return
        try:
            self.model.reshape({name: openvino.PartialShape(list(shape)) for name, shape in shapes.items()})
        except RuntimeError as error:
            raise InvalidArgument(f"{REFUSAL}the shapes {format_shapes(shapes)} do not fit together") from error
        for index, rows in self.positions:
            if index.get_shape()[0] > rows:
                raise InvalidArgument(f"{REFUSAL}expected at most {rows} positions, got {format_shapes(shapes)}")
        self.known.add(key)

    def check_indices(self, inputs: Arrays) -> None:
        for name, rows in self.rows.items():
            if name in inputs and not 0 <= inputs[name].min() <= inputs[name].max() < rows:
                got = f"{inputs[name].min()} to {inputs[name].max()}"
                raise InvalidArgument(f"{REFUSAL}{name}: expected 0 to {rows - 1}, got {got}")


def find_source(output: Any) -> Any:
    """The output that the numbers of `output` come from."""
    while type_name(output) in PASSING:
        output = output.get_node().input_value(0)
    return output


def type_name(output: Any) -> str:
    return output.get_node().get_type_name()


def format_shapes(shapes: Shapes) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
