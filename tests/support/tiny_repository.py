"""A model repository that starts in a second: a Python step, an ONNX network, a TorchScript network and an ensemble."""

from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

AMPLIFIER = """
import os
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convai.backends.runtime.adapter import python_step
from convai.backends.runtime.python_step import PythonStep
from convai.errors import InvalidArgument


@dataclass(frozen=True)
class Amplifier(PythonStep):
    gain: float = 1.0
    request_parameters: ClassVar[tuple[str, ...]] = ("seed",)

    def __call__(self, *, x, note, seed):
        if np.isnan(x).any():
            raise InvalidArgument(f"x: expected finite numbers, got NaN, says {__file__}")
        if note == "fail":
            raise KeyError(__file__)
        if note == "broadcast":
            x = x + np.zeros(len(x) + 1, np.float32)
        return {"amplified": np.float32(self.gain) * x + np.float32(seed or 0), "echo": note}


TritonPythonModel = python_step(Amplifier)
"""

BATCHER = "dynamic_batching { max_queue_delay_microseconds: 100000 }"

CONFIGS = {
    "amplifier": f"""
        backend: "python" max_batch_size: 8 {BATCHER}
        input {{ name: "x" data_type: TYPE_FP32 dims: [-1] allow_ragged_batch: true }}
        input {{ name: "note" data_type: TYPE_STRING dims: [1] }}
        output {{ name: "amplified" data_type: TYPE_FP32 dims: [-1] }}
        output {{ name: "echo" data_type: TYPE_STRING dims: [1] }}
        instance_group {{ count: 2 kind: KIND_CPU }}
        parameters {{ key: "gain" value {{ string_value: "2.5" }} }}
        """,
    "lookup": f"""
        backend: "onnxruntime" default_model_filename: "model.onnx" max_batch_size: 8 {BATCHER}
        input {{ name: "index" data_type: TYPE_INT64 dims: [-1] }}
        output {{ name: "value" data_type: TYPE_FP32 dims: [-1] }}
        instance_group {{ count: 1 kind: KIND_CPU }}
        parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
        """,
    "halver": f"""
        backend: "pytorch" default_model_filename: "model.pt" max_batch_size: 8 {BATCHER}
        input {{ name: "amplified" data_type: TYPE_FP32 dims: [-1] }}
        output {{ name: "length__1" data_type: TYPE_INT32 dims: [1] }}
        output {{ name: "half__0" data_type: TYPE_FP32 dims: [-1] }}
        instance_group {{ count: 1 kind: KIND_CPU }}
        parameters {{ key: "INTRA_OP_THREAD_COUNT" value {{ string_value: "1" }} }}
        """,
    "chain": """
        platform: "ensemble" max_batch_size: 8
        input { name: "x" data_type: TYPE_FP32 dims: [-1] }
        input { name: "note" data_type: TYPE_STRING dims: [1] }
        output { name: "half" data_type: TYPE_FP32 dims: [-1] }
        ensemble_scheduling {
          step { model_name: "amplifier" model_version: -1
            input_map { key: "x" value: "x" } input_map { key: "note" value: "note" }
            output_map { key: "amplified" value: "amplified" } }
          step { model_name: "halver" model_version: -1
            input_map { key: "amplified" value: "amplified" }
            output_map { key: "half__0" value: "half" } }
        }
        """,
}
TABLE = (0.0, 5.0, 10.0, 1e-39)  # `lookup` returns twice the value at an index; the last is a denormal number


class Halver(torch.nn.Module):
    def forward(self, amplified: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if bool((amplified > 1e6).any()):
            raise ValueError("amplified is above 1e6")
        length = torch.full((amplified.shape[0], 1), amplified.shape[1], dtype=torch.int32)
        return amplified / 2, length


def write_repository(folder: Path) -> Path:
    """Fill `folder` with the models of CONFIGS."""
    for name, config in CONFIGS.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(f'name: "{name}"\n{config}')
    (folder / "chain" / "1" / ".keep").touch()
    (folder / "amplifier" / "1" / "model.py").write_text(AMPLIFIER)
    onnx.save(lookup_network(), folder / "lookup" / "1" / "model.onnx")
    torch.jit.script(Halver()).save(folder / "halver" / "1" / "model.pt")
    return folder


def lookup_network() -> onnx.ModelProto:
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "index"], ["looked_up"]),
            helper.make_node("Add", ["looked_up", "looked_up"], ["value"]),
        ],
        "lookup",
        [helper.make_tensor_value_info("index", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", "length"])],
        [helper.make_tensor("table", TensorProto.FLOAT, [len(TABLE)], TABLE)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
