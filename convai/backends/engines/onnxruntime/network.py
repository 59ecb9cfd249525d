"""Runs an ONNX file in ONNX Runtime on the CPU, with the parameters of Triton's own backend and one more.

`kept_elements`: the memory of a run is kept for the next run if its largest input has at most this many elements.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument as OnnxInvalidArgument

from convai.arrays import Array
from convai.backends.engines.runs import Arrays
from convai.backends.runtime.parameters import read_whole_number
from convai.errors import InvalidArgument


class OnnxNetwork:
    def __init__(self, file: Path, config: Mapping[str, Any]):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = read_whole_number(config, "intra_op_thread_count", 1)
        options.inter_op_num_threads = read_whole_number(config, "inter_op_thread_count", 1)
        # With denormal numbers, silence makes WaveGlow ten times slower.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        # Threads sleep while they wait: the other steps run on the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        # Allocating the memory anew takes 10 % of the time of a usual run.
        self.kept_elements = read_whole_number(config, "kept_elements", 0, lowest=0)
        self.large_run = onnxruntime.RunOptions()  # returns all its memory
        self.large_run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.output_names = [output["name"] for output in config["output"]]

    def run(self, inputs: Arrays) -> Arrays:
        is_large = max(array.size for array in inputs.values()) > self.kept_elements
        try:
            outputs = self.session.run(self.output_names, inputs, self.large_run if is_large else None)
        except OnnxInvalidArgument as error:  # such as an index outside its table; a failing node raises another class
            reason = str(error).rpartition("Status Message: ")[2]  # without the name of the node
            raise InvalidArgument(f"the network refuses its inputs: {reason}") from error
        # An ONNX file could also return maps and lists; the outputs of networks are tensors.
        return dict(zip(self.output_names, cast(list[Array], outputs), strict=True))
