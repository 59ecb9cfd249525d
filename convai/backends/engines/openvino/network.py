"""An ONNX file in OpenVINO on the CPU, with the parameters that Triton's own backend takes, and two more.

`HINT_BF16`: "YES" computes in BF16 where the processor has it, and in FP32 elsewhere.
`item_axes`: so many leading axes of every tensor count items that have nothing to do with one another, 1 by default.
    Each is run by itself: joining them would save nothing on a CPU, and what is rounded to BF16 would change with the
    company it is computed in. So one run is short, too, however much a request asks for.
`warm_up`: by input the sizes of items, without the axes that count them, that are run before the network counts as
    ready: the first run of a size takes 10 to 40 ms longer. The memory that these need is kept for the next run, that
    of larger items given back.
"""

import time
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from convai.backends.engines.openvino.checks import InputChecks
from convai.backends.engines.openvino.compiled import compile_network
from convai.backends.engines.runs import Arrays
from convai.backends.runtime.parameters import parse_value, whole_number

Shape = tuple[int, ...]


class OpenVinoNetwork:
    def __init__(self, file: Path, config: Mapping[str, Any]):
        self.output_names = [output["name"] for output in config["output"]]
        self.item_axes = whole_number(config, "item_axes", 1)
        threads = whole_number(config, "INFERENCE_NUM_THREADS", 1)
        streams = whole_number(config, "NUM_STREAMS", 1)
        self.network = compile_network(file, threads, streams, wants_bf16=text_of(config, "HINT_BF16") == "YES")
        self.checks = InputChecks(self.network.model)
        self.request = self.network.compiled.create_infer_request()
        self.kept_elements = 0  # of the largest item whose memory is kept
        start = time.monotonic()
        count = self.warm_up(parse_value(config["name"], "warm_up", text_of(config, "warm_up") or "{}"))
        took = f"{count} sizes warmed up in {time.monotonic() - start:.1f} s"
        print(f"network {config['name']}: {self.network}; {took}", flush=True)

    def run(self, inputs: Arrays) -> Arrays:
        shapes = {name: array.shape for name, array in inputs.items()}
        counts = self.checks.count_items(shapes, self.item_axes)
        self.checks.check_shapes({name: self.item_shape(shape[self.item_axes :]) for name, shape in shapes.items()})
        self.checks.check_indices(inputs)
        made = [self.run_item(item_at(inputs, index)) for index in np.ndindex(counts)]
        if max(array.size for array in inputs.values()) > self.kept_elements * len(made):
            self.network.give_back_memory()
        return {
            name: np.concatenate([one[name] for one in made]).reshape(*counts, *made[0][name].shape[self.item_axes :])
            for name in self.output_names
        }

    def run_item(self, item: Arrays) -> Arrays:
        # Sharing the arrays saves a copy, and without it OpenVINO does not even look at their shapes.
        results = self.request.infer(item, share_inputs=True, share_outputs=True)
        return {name: np.array(results[name]) for name in self.output_names}  # which the next run writes over

    def item_shape(self, size: Sequence[int]) -> Shape:
        return (*(1,) * self.item_axes, *size)

    def warm_up(self, sizes: Mapping[str, Sequence[Sequence[int]]]) -> int:
        """Run an item of each size, the largest first, for its memory is then enough for the others."""
        rows = sorted(zip(*sizes.values(), strict=True), key=largest, reverse=True)
        for row in rows:
            shapes = {name: self.item_shape(size) for name, size in zip(sizes, row, strict=True)}
            self.checks.trust(shapes)
            self.run_item({name: np.ones(shape, self.network.dtype_of(name)) for name, shape in shapes.items()})
        self.kept_elements = largest(rows[0]) if rows else 0
        return len(rows)


def item_at(inputs: Arrays, index: Shape) -> Arrays:
    """One item, its counting axes kept with a size of 1."""
    one = tuple(slice(place, place + 1) for place in index)
    return {name: array[one] for name, array in inputs.items()}


def largest(sizes: Sequence[Sequence[int]]) -> int:
    """Elements of the largest tensor."""
    return max(prod(size) for size in sizes)


def text_of(config: Mapping[str, Any], parameter: str) -> str:
    return config.get("parameters", {}).get(parameter, {}).get("string_value", "")
