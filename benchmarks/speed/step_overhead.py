"""Measure the processor time that an ensemble adds per step: ensembles of steps that do nothing but one thing each.

python -m benchmarks.speed.step_overhead
python -m benchmarks.speed.step_overhead --requests 2000 --rounds 5

`echo` returns its input in the fewest calls to Triton; every other step does one thing more. Each step stands eight
times in an ensemble; the cost of one direct call is subtracted, and a seventh of the rest is the overhead of one step.
The steps take turns, so that other programs disturb all alike.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import tritonclient.grpc as triton

from benchmarks.options import build_program_parser
from benchmarks.speed.measured_server import MeasuredServer, open_server, read_processor_seconds
from convai.arrays import Array
from convai.errors import InvalidArgument
from convai.program import run_program
from convai.tables import format_table

MODEL = """
import json
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.family = pb_utils.MetricFamily("{name}_requests_total", "Requests.", pb_utils.MetricFamily.COUNTER)
        self.metric = self.family.Metric(labels={{"model": "{name}"}})

    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        {extra}
        array = request.inputs()[0].as_numpy()
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("y", array)])
"""
PIPELINE_STEP = """
from dataclasses import dataclass
from convai.backends.runtime.adapter import python_step
from convai.backends.runtime.python_step import PythonStep

@dataclass(frozen=True)
class Step(PythonStep):
    def __call__(self, *, x):
        return {"y": x}

TritonPythonModel = python_step(Step)
"""
CONFIG = """
name: "{name}" backend: "python" max_batch_size: 8
input {{ name: "x" data_type: TYPE_FP32 dims: [-1] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [-1] }}
instance_group {{ count: 1 kind: KIND_CPU }}
{batching}
"""
ENSEMBLE = """
name: "{name}_ensemble" platform: "ensemble" max_batch_size: 8
input {{ name: "x0" data_type: TYPE_FP32 dims: [-1] }}
output {{ name: "x{calls}" data_type: TYPE_FP32 dims: [-1] }}
ensemble_scheduling {{ {steps} }}
"""
ENSEMBLE_STEP = """step {{ model_name: "{name}" model_version: -1
  input_map {{ key: "x" value: "x{index}" }} output_map {{ key: "y" value: "x{next}" }} }}
"""
CALLS = 8
BATCHING = "dynamic_batching {{ max_queue_delay_microseconds: {delay} }}"
STEPS: Mapping[str, tuple[str, str]] = {  # name: (model.py, batching)
    "echo": (MODEL.format(name="echo", extra="pass"), ""),
    "batching": (MODEL.format(name="batching", extra="pass"), BATCHING.format(delay=0)),
    "batching_delayed": (MODEL.format(name="batching_delayed", extra="pass"), BATCHING.format(delay=250)),
    "parameters": (MODEL.format(name="parameters", extra='json.loads(request.parameters() or "{}")'), ""),
    "cancellation": (MODEL.format(name="cancellation", extra="request.is_cancelled()"), ""),
    "counter": (MODEL.format(name="counter", extra="self.metric.increment(1)"), ""),
    "adapter": (PIPELINE_STEP, BATCHING.format(delay=0)),  # as the steps of the pipeline are
}


@dataclass(frozen=True)
class Overhead:
    """Processor time in microseconds per step: in tritonserver, and in the step's own process."""

    server: float
    step: float


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.speed.step_overhead", __doc__)
    requests_help = "to each step in a round, default %(default)s; the kernel counts in units of 10 ms"
    parser.add_argument("--requests", type=int, default=500, help=requests_help)
    parser.add_argument("--rounds", type=int, default=3, help="of which to take medians, default %(default)s")
    parser.add_argument("--floats", type=int, nargs="+", default=[16, 50_000], help="per request, default 16 50000")
    return parser


def run(args: argparse.Namespace) -> None:
    if min(args.requests, args.rounds, *args.floats) < 1:
        raise InvalidArgument("--requests, --rounds, --floats: expected at least 1")
    for floats in args.floats:
        print(f"{floats:,} floats per tensor, one request at a time")
        print(format_overheads(measure(floats, args.requests, args.rounds)), flush=True)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def write_repository(folder: Path) -> Path:
    for name, (model, batching) in STEPS.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(CONFIG.format(name=name, batching=batching))
        (folder / name / "1" / "model.py").write_text(model)
        (folder / f"{name}_ensemble" / "1").mkdir(parents=True)
        steps = "".join(ENSEMBLE_STEP.format(name=name, index=index, next=index + 1) for index in range(CALLS))
        config = ENSEMBLE.format(name=name, calls=CALLS, steps=steps)
        (folder / f"{name}_ensemble" / "config.pbtxt").write_text(config)
    return folder


class Meter:
    """Sends requests to a step and to its ensemble, and reads the processor time they take."""

    def __init__(self, server: MeasuredServer, client: triton.InferenceServerClient, step: str, floats: int):
        self.client, self.step, self.floats = client, step, floats
        server_pid, *stubs = server.list_processes()
        # A stub's arguments include the instance's name, <model>_<group>_<index>.
        self.pids = [server_pid, *(pid for pid in stubs if f"{step}_0_0" in psutil.Process(pid).cmdline())]

    def measure_overhead(self, requests: int) -> Overhead:
        ensemble = self._measure_call(f"{self.step}_ensemble", "x0", requests)
        return Overhead(*(1e6 * (ensemble - self._measure_call(self.step, "x", requests)) / (CALLS - 1)))

    def _measure_call(self, model: str, name: str, requests: int) -> Array:
        """Return the processor seconds of the server and of the step's process per request."""
        tensor = triton.InferInput(name, [1, self.floats], "FP32")
        tensor.set_data_from_numpy(np.ones((1, self.floats), np.float32))
        before = np.array([read_processor_seconds([pid]) for pid in self.pids])
        for _ in range(requests):
            self.client.infer(model, [tensor])
        return (np.array([read_processor_seconds([pid]) for pid in self.pids]) - before) / requests


def measure(floats: int, requests: int, rounds: int) -> dict[str, list[Overhead]]:
    overheads: dict[str, list[Overhead]] = {step: [] for step in STEPS}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(None, write_repository(Path(folder)), "cpu") as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        meters = {step: Meter(server, client, step, floats) for step in STEPS}
        for meter in meters.values():
            meter.measure_overhead(requests=20)  # the first requests take longer
        for _ in range(rounds):
            for step, measured in overheads.items():
                measured.append(meters[step].measure_overhead(requests))
    return overheads


def format_overheads(overheads: Mapping[str, list[Overhead]]) -> str:
    totals = {step: median(one.server + one.step for one in measured) for step, measured in overheads.items()}
    rows = [
        [
            step,
            f"{median(one.server for one in measured):.0f}",
            f"{median(one.step for one in measured):.0f}",
            f"{totals[step] / totals['echo']:.2f}" if totals["echo"] else "",
        ]
        for step, measured in overheads.items()
    ]
    return format_table(["step", "tritonserver [us]", "step's process [us]", "both, relative to echo"], rows)


if __name__ == "__main__":
    sys.exit(main())
