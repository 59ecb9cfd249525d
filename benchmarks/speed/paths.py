"""Paths from a spoken question to a spoken answer, to be compared.

ensemble        one call of `convai_ensemble`; every step runs in the server
compare         the same on another running server, such as an earlier version
step-by-step    client-side glue: the Python steps run here, and each network is one call to the server
in-process      Python steps and networks are called directly in one process, without a server

All share the files of one model repository, the code and parameters of the Python steps, and the networks' engines and
threads. The baselines, in a folder of their own, share the same but for the threads.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.speed.baselines import BASELINES, BaselineSetup
from benchmarks.speed.in_process import Arrays, InProcessPipeline, PipelineProcess, load_python_steps
from benchmarks.speed.measured_server import MeasuredServer
from benchmarks.speed.question_set import Question
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.requests import Request, ask_request
from convai.client.step_by_step import read_wire_names
from convai.description.pipeline import NETWORK_NAMES

OUTPUTS = ("question", "answer", "answer_score", "answer_span", "answer_audio")
AUDIO_TOLERANCE = 1e-3  # of full scale: what the pipeline promises for any batch


@dataclass(frozen=True)
class Reply:
    """One answer, its latency, and the time of each step that the path called itself."""

    answer: Answer
    latency_seconds: float
    step_seconds: Mapping[str, float]


def is_same_answer(answer: Answer, other: Answer) -> bool:
    """Return whether the texts are equal and the audio is within AUDIO_TOLERANCE."""
    texts = [(one.question, one.answer, one.answer_span) for one in (answer, other)]
    return texts[0] == texts[1] and _is_same_audio(answer.answer_audio, other.answer_audio)


def _is_same_audio(audio: np.ndarray | None, other: np.ndarray | None) -> bool:
    if audio is None or other is None:
        return audio is other
    return audio.shape == other.shape and bool(np.allclose(audio, other, rtol=0, atol=AUDIO_TOLERANCE))


class AnswerPath(Protocol):
    """`statistics` is a client of the Triton that reports the time of each step; None if the path has none."""

    @property
    def statistics(self) -> ConvaiClient | None: ...

    def ask(self, question: Question) -> Reply: ...

    def list_processes(self) -> list[int]:
        """Return the ids of all processes that do the work; none if they run on another machine."""
        ...


class EnsemblePath:
    def __init__(self, client: ConvaiClient, list_processes: Callable[[], list[int]] = list):
        self.client = client
        self.statistics: ConvaiClient | None = client
        self.list_processes = list_processes

    def ask(self, question: Question) -> Reply:
        start = time.perf_counter()
        answer = self.client.answer(build_request(question))
        return Reply(answer, time.perf_counter() - start, {})


class StepByStepPath:
    def __init__(self, client: ConvaiClient, server: MeasuredServer, model_repository: Path, profile: str):
        self.client = self.statistics = client
        self.server = server
        self.wire_names = {name: read_wire_names(client, name) for name in NETWORK_NAMES}
        networks = {name: partial(self._infer, name) for name in NETWORK_NAMES}
        self.pipeline = InProcessPipeline(load_python_steps(model_repository, profile) | networks)

    def ask(self, question: Question) -> Reply:
        run = self.pipeline.run(build_request(question))
        return Reply(run.answer, run.seconds, run.step_seconds)

    def list_processes(self) -> list[int]:
        """Return the server's processes and this one, which runs the Python steps."""
        return [*self.server.list_processes(), os.getpid()]

    def _infer(self, network: str, inputs: Arrays) -> Arrays:
        names = self.wire_names[network]
        outputs = tuple(wire_name for name, wire_name in names.items() if name not in inputs)
        made = self.client.infer(Request(network, inputs, outputs, {}))
        return {name: made[wire_name] for name, wire_name in names.items() if wire_name in made}


class InProcessPath:
    statistics = None

    def __init__(self, model_repository: Path, profile: str):
        self.process = PipelineProcess(model_repository, profile)

    def ask(self, question: Question) -> Reply:
        run = self.process.run(build_request(question))
        return Reply(run.answer, run.seconds, run.step_seconds)

    def list_processes(self) -> list[int]:
        return [self.process.pid]

    def close(self) -> None:
        self.process.close()


def build_request(question: Question) -> Request:
    return ask_request(question.audio, question.sample_rate, question.context, OUTPUTS)


@contextmanager
def open_paths(
    names: Iterable[str],
    servers: Mapping[str, MeasuredServer],
    model_repository: Path,
    profile: str,
    baselines: BaselineSetup,
    timeout_seconds: float,
) -> Iterator[dict[str, AnswerPath]]:
    """Open the named paths; close them afterwards.

    Parameters
    ----------
    servers : by the names of the paths that need one: ensemble, step-by-step, compare
    baselines : what the baselines serve
    timeout_seconds : of one call
    """

    def open_path(name: str) -> AnswerPath:
        if name in BASELINES:
            from benchmarks.speed.baselines.client import open_baseline  # needs the packages of extra `baselines`

            return stack.enter_context(open_baseline(name, baselines))
        if name == "in-process":
            return stack.enter_context(closing(InProcessPath(model_repository, profile)))
        server = servers[name]
        client = stack.enter_context(ConvaiClient(server.address, timeout_seconds=timeout_seconds))
        if name == "step-by-step":
            return StepByStepPath(client, server, model_repository, profile)
        return EnsemblePath(client, server.list_processes)

    with ExitStack() as stack:
        yield {name: open_path(name) for name in names}
