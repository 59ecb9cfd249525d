"""What a hop costs: processor time of ensembles of steps that do nothing, by what each does beside nothing.

python -m benchmarks.speed.hops
python -m benchmarks.speed.hops --requests 400 --rounds 5

`echo` reads its input and gives it back in the fewest calls to Triton; the others do one thing more. Each stands eight
times in an ensemble; what a call of the step by itself costs is taken off, and a seventh of the rest is a hop. They
take turns, so that what else the machine does hits all alike, and time is what the kernel gave to server and step.
"""

import argparse
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tritonclient.grpc as triton

from benchmarks.tables import as_table
from convai.arrays import Array
from convai.backends.management.launcher import Server
from convai.backends.management.processes import stubs_of
from convai.errors import InvalidArgument
from convai.program import run_program

MODEL = """
import json
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.family = pb_utils.MetricFamily("hops_{name}_total", "Answered requests.", pb_utils.MetricFamily.COUNTER)
        self.metric = self.family.Metric(labels={{"model": "{name}"}})

    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        {more}
        array = request.inputs()[0].as_numpy()
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("y", array)])
"""
STEP = """
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
name: "{name}_chain" platform: "ensemble" max_batch_size: 8
input {{ name: "x0" data_type: TYPE_FP32 dims: [-1] }}
output {{ name: "x{hops}" data_type: TYPE_FP32 dims: [-1] }}
ensemble_scheduling {{ {calls} }}
"""
CALL = """step {{ model_name: "{name}" model_version: -1
  input_map {{ key: "x" value: "x{index}" }} output_map {{ key: "y" value: "x{next}" }} }}
"""
HOPS = 8
BATCHING = "dynamic_batching {{ max_queue_delay_microseconds: {delay} }}"
STEPS: Mapping[str, tuple[str, str]] = {  # name: (model.py, batching)
    "echo": (MODEL.format(name="echo", more="pass"), ""),
    "batching": (MODEL.format(name="batching", more="pass"), BATCHING.format(delay=0)),
    "batching_delayed": (MODEL.format(name="batching_delayed", more="pass"), BATCHING.format(delay=250)),
    "parameters": (MODEL.format(name="parameters", more='json.loads(request.parameters() or "{}")'), ""),
    "cancellation": (MODEL.format(name="cancellation", more="request.is_cancelled()"), ""),
    "counter": (MODEL.format(name="counter", more="self.metric.increment(1)"), ""),
    "adapter": (STEP, BATCHING.format(delay=0)),  # as the steps of the pipeline are
}


@dataclass(frozen=True)
class Cost:
    """Microseconds of processor time per hop."""

    server: float
    step: float


def write_repository(folder: Path) -> Path:
    for name, (model, batching) in STEPS.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(CONFIG.format(name=name, batching=batching))
        (folder / name / "1" / "model.py").write_text(model)
        (folder / f"{name}_chain" / "1").mkdir(parents=True)
        calls = "".join(CALL.format(name=name, index=index, next=index + 1) for index in range(HOPS))
        config = ENSEMBLE.format(name=name, hops=HOPS, calls=calls)
        (folder / f"{name}_chain" / "config.pbtxt").write_text(config)
    return folder


@contextmanager
def served() -> Generator[tuple[Server, triton.InferenceServerClient]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(write_repository(Path(folder))) as server,
        triton.InferenceServerClient(server.grpc_address) as client,
    ):
        yield server, client


def processor_seconds(pid: int) -> float:
    """What the kernel gave to all threads of a process that live."""
    return sum(float((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


class Meter:
    """Sends requests to a step and to its chain, and reads what they took."""

    def __init__(self, server: Server, client: triton.InferenceServerClient, step: str, floats: int):
        self.client, self.step, self.floats = client, step, floats
        self.pids = [server.process.pid] + [stub.pid for stub in stubs_of(server.process.pid) if stub.model == step]

    def seconds(self, model: str, name: str, requests: int) -> Array:
        """Of the server and the step's process, per request."""
        tensor = triton.InferInput(name, [1, self.floats], "FP32")
        tensor.set_data_from_numpy(np.ones((1, self.floats), np.float32))
        before = np.array([processor_seconds(pid) for pid in self.pids])
        for _ in range(requests):
            self.client.infer(model, [tensor])
        return (np.array([processor_seconds(pid) for pid in self.pids]) - before) / requests

    def hop(self, requests: int) -> Cost:
        chain = self.seconds(f"{self.step}_chain", "x0", requests)
        return Cost(*(1e6 * (chain - self.seconds(self.step, "x", requests)) / (HOPS - 1)))


def measure(floats: int, requests: int, rounds: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {step: [] for step in STEPS}
    with served() as (server, client):
        meters = {step: Meter(server, client, step, floats) for step in STEPS}
        for meter in meters.values():
            meter.hop(requests=20)  # the first ones take longer
        for _ in range(rounds):
            for step, measured in costs.items():
                measured.append(meters[step].hop(requests))
    return costs


def table(costs: Mapping[str, list[Cost]]) -> str:
    base = median(cost.server + cost.step for cost in costs["echo"])
    rows = [["step", "server [us]", "process of the step [us]", "both, over echo's"]]
    for step, measured in costs.items():
        both = median(cost.server + cost.step for cost in measured)
        server, process = median(cost.server for cost in measured), median(cost.step for cost in measured)
        rows.append([step, f"{server:.0f}", f"{process:.0f}", f"{both / base:.2f}"])
    return as_table(rows)


def run(args: argparse.Namespace) -> None:
    if min(args.requests, args.rounds, *args.floats) < 1:
        raise InvalidArgument("--requests, --rounds and --floats must be at least 1")
    for floats in args.floats:
        print(f"{floats:,} numbers handed on, one request at a time")
        print(table(measure(floats, args.requests, args.rounds)), flush=True)


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hops", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100, help="of each step in a round, default %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians count, default %(default)s")
    parser.add_argument("--floats", type=int, nargs="+", default=[16, 50_000], help="in a request, default 16 50000")
    return parser


if __name__ == "__main__":
    sys.exit(main())
