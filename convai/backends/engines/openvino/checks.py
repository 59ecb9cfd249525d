"""Refuse inputs that OpenVINO would compute with all the same: it checks neither shapes against each other nor
indices against the tables that they point into, and answers with nonsense.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import openvino

from convai.backends.engines.runs import Arrays
from convai.errors import InvalidArgument

Shapes = Mapping[str, tuple[int, ...]]
PASSED_ON = ("Convert", "Reshape", "Unsqueeze")  # operations whose result holds the numbers of their first input


class InputChecks:
    """What the inputs of one model may be. A shape is worked through the model once, which takes as long as a run."""

    def __init__(self, model: Any):
        self.model = model
        self.known: set[tuple[tuple[str, tuple[int, ...]], ...]] = set()
        self.rows: dict[str, int] = {}  # of the smallest table that an input points into, by input
        self.counted: list[tuple[Any, int]] = []  # outputs that count from 0, and the rows of the table they point into
        for node in model.get_ops():
            if node.get_type_name() == "Gather" and type_of(source_of(node.input_value(0))) == "Constant":
                self.add_table(rows=node.input_value(0).get_shape()[0], index=source_of(node.input_value(1)))

    def add_table(self, rows: int, index: Any) -> None:
        if type_of(index) == "Parameter":
            for name in index.get_names():
                self.rows[name] = min(rows, self.rows.get(name, rows))
        elif type_of(index) == "Range":
            self.counted.append((index, rows))

    def trust(self, shapes: Shapes) -> None:
        """Take shapes for right that come from the configuration."""
        self.known.add(tuple(sorted(shapes.items())))

    def count_items(self, shapes: Shapes, item_axes: int) -> tuple[int, ...]:
        """The sizes of the leading axes, the same for all inputs."""
        counts = {shape[:item_axes] for shape in shapes.values()}
        if len(counts) > 1 or not all(prod(shape) for shape in shapes.values()):
            raise InvalidArgument(
                f"the network refuses its inputs: got {described(shapes)};"
                f" allowed are non-empty ones that agree in the first {item_axes} of their sizes"
            )
        return counts.pop()

    def check_shapes(self, shapes: Shapes) -> None:
        key = tuple(sorted(shapes.items()))
        if key in self.known:
            return
        try:
            self.model.reshape({name: openvino.PartialShape(list(shape)) for name, shape in shapes.items()})
        except RuntimeError as error:
            raise InvalidArgument(
                f"the network refuses its inputs: the sizes {described(shapes)} do not fit together"
            ) from error
        for index, rows in self.counted:
            if index.get_shape()[0] > rows:
                raise InvalidArgument(
                    f"the network refuses its inputs: got {described(shapes)}; it has no more than {rows} positions"
                )
        self.known.add(key)

    def check_indices(self, inputs: Arrays) -> None:
        for name, rows in self.rows.items():
            if name in inputs and not 0 <= inputs[name].min() <= inputs[name].max() < rows:
                got = f"{inputs[name].min()} to {inputs[name].max()}"
                raise InvalidArgument(f"the network refuses its inputs: {name} is {got}; allowed is 0 to {rows - 1}")


def source_of(output: Any) -> Any:
    """Where the numbers of an output come from."""
    while type_of(output) in PASSED_ON:
        output = output.get_node().input_value(0)
    return output


def type_of(output: Any) -> str:
    return output.get_node().get_type_name()


def described(shapes: Shapes) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
