"""Runs an ONNX file in OpenVINO on the CPU, with the parameters of Triton's own backend and three more.

`HINT_BF16`: "YES" computes in BF16 where the processor supports it, and in FP32 elsewhere.
`item_axes`: number of leading axes over independent items, default 1. Items run one by one: a batch saves no time on a
    CPU, and BF16 results depend on the batch size. A run is therefore short, even for a large request.
`warm_up`: by input, sizes of items without the item axes. Each is run before the network is ready, because the first
    run of a size takes 10 to 40 ms longer. The memory of these runs is kept, that of larger items released.

While other steps need the cores, and until none has for a second, an item runs on one thread instead of
`INFERENCE_NUM_THREADS`, with the same result to the bit. That takes a second compiled network, which is made when it is
first needed.
"""

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from convai.backends.engines.openvino.checks import InputChecks
from convai.backends.engines.openvino.compiled import Compiled, compile_network
from convai.backends.engines.runs import Arrays
from convai.backends.runtime.busy_cores import count_idle_cores
from convai.backends.runtime.parameters import parse_value, read_whole_number

QUIET_SECONDS = 1.0  # several threads in the short gaps between requests would take a third more processor time

Shape = tuple[int, ...]


class OpenVinoNetwork:
    def __init__(self, file: Path, config: Mapping[str, Any]):
        self.output_names = [output["name"] for output in config["output"]]
        self.item_axes = read_whole_number(config, "item_axes", 1)
        threads = read_whole_number(config, "INFERENCE_NUM_THREADS", 1)
        streams = read_whole_number(config, "NUM_STREAMS", 1)
        self.compile = partial(
            compile_network, file, streams=streams, wants_bf16=read_text(config, "HINT_BF16") == "YES"
        )
        self.network = self.compile(threads=threads)
        self.single_threaded = self.network if threads == 1 else None
        self.last_rivalry = -math.inf  # when other steps last needed the cores
        self.checks = InputChecks(self.network.model)
        self.kept_elements = 0  # of the largest item whose memory is kept
        start = time.monotonic()
        count = self.warm_up(parse_value(config["name"], "warm_up", read_text(config, "warm_up") or "{}"))
        seconds = time.monotonic() - start
        print(f"network {config['name']}: {self.network}; {count} sizes warmed up in {seconds:.1f} s", flush=True)

    def run(self, inputs: Arrays) -> Arrays:
        shapes = {name: array.shape for name, array in inputs.items()}
        counts = self.checks.read_item_counts(shapes, self.item_axes)
        self.checks.check_shapes({name: self.item_shape(shape[self.item_axes :]) for name, shape in shapes.items()})
        self.checks.check_indices(inputs)
        results = [self.run_item(self.choose_network(), select_item(inputs, index)) for index in np.ndindex(counts)]
        if max(array.size for array in inputs.values()) > self.kept_elements * len(results):
            for network in filter(None, (self.network, self.single_threaded)):
                network.release_memory()
        return {
            name: np.concatenate([one[name] for one in results]).reshape(
                *counts, *results[0][name].shape[self.item_axes :]
            )
            for name in self.output_names
        }

    def run_item(self, network: Compiled, item: Arrays) -> Arrays:
        # Sharing the arrays saves a copy; without it OpenVINO ignores their shapes.
        results = network.request.infer(item, share_inputs=True, share_outputs=True)
        return {name: np.array(results[name]) for name in self.output_names}  # copied: the next run overwrites them

    def choose_network(self) -> Compiled:
        if count_idle_cores(self.network.threads) < self.network.threads:
            self.last_rivalry = time.monotonic()
        if time.monotonic() > self.last_rivalry + QUIET_SECONDS:
            return self.network
        if self.single_threaded is None:
            self.single_threaded = self.compile(threads=1)
        return self.single_threaded

    def item_shape(self, size: Sequence[int]) -> Shape:
        return (*(1,) * self.item_axes, *size)

    def warm_up(self, sizes: Mapping[str, Sequence[Sequence[int]]]) -> int:
        """Run an item of each size and return their number; the largest first, whose memory suffices for the others."""
        rows = sorted(zip(*sizes.values(), strict=True), key=count_elements, reverse=True)
        for row in rows:
            shapes = {name: self.item_shape(size) for name, size in zip(sizes, row, strict=True)}
            self.checks.trust(shapes)
            item = {name: np.ones(shape, self.network.dtype_of(name)) for name, shape in shapes.items()}
            self.run_item(self.network, item)  # even if a server restarts it while cores are busy
        self.kept_elements = count_elements(rows[0]) if rows else 0
        return len(rows)


def select_item(inputs: Arrays, index: Shape) -> Arrays:
    """Select one item; its item axes keep a size of 1."""
    one = tuple(slice(place, place + 1) for place in index)
    return {name: array[one] for name, array in inputs.items()}


def count_elements(sizes: Sequence[Sequence[int]]) -> int:
    """Number of elements of the largest tensor."""
    return max(prod(size) for size in sizes)


def read_text(config: Mapping[str, Any], parameter: str) -> str:
    return config.get("parameters", {}).get(parameter, {}).get("string_value", "")
