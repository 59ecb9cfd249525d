"""An ONNX file in ONNX Runtime on the CPU, with the parameters that Triton's own backend takes, and one more.

`kept_elements`: a run whose largest input holds no more elements leaves its memory to the next run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument as OnnxInvalidArgument

from convai.arrays import Array
from convai.backends.engines.runs import Arrays
from convai.backends.runtime.parameters import whole_number
from convai.errors import InvalidArgument


class OnnxNetwork:
    def __init__(self, file: Path, config: Mapping[str, Any]):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = whole_number(config, "intra_op_thread_count", 1)
        options.inter_op_num_threads = whole_number(config, "inter_op_thread_count", 1)
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        # Threads that wait for work must sleep: the other steps run on the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        # Memory that usual runs need is kept, or a tenth of their time goes into fetching it anew from the system.
        self.kept_elements = whole_number(config, "kept_elements", 0, lowest=0)
        self.large_run = onnxruntime.RunOptions()  # gives all its memory back
        self.large_run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.output_names = [output["name"] for output in config["output"]]

    def run(self, inputs: Arrays) -> Arrays:
        is_large = max(array.size for array in inputs.values()) > self.kept_elements
        try:
            outputs = self.session.run(self.output_names, inputs, self.large_run if is_large else None)
        except (
            OnnxInvalidArgument
        ) as error:  # an index outside its table, say; what breaks inside a node is another class
            reason = str(error).rpartition("Status Message: ")[2]  # before it: the node, of no use to a caller
            raise InvalidArgument(f"the network refuses its inputs: {reason}") from error
        # Not a map or a list, which an ONNX file could hold too: a network's outputs are tensors.
        return dict(zip(self.output_names, cast(list[Array], outputs), strict=True))
