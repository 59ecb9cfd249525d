"""Ways from a spoken question to a spoken answer, to be compared.

ensemble        one call of `convai_ensemble`; everything happens in the server
beside          the same of another server, such as an earlier version's
step-by-step    the glue runs here, and each network is a call of the server: what the demo of 2020 did in its notebook
floor           glue and networks are called directly in one process: what the work itself takes

What they share: the files of one model repository, the glue's code and parameters, the networks' engines and threads.
The rivals, in a folder of their own, share all of it but the threads.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.speed.in_process import Arrays, InProcess, by_name, python_steps
from benchmarks.speed.pipeline_process import PipelineProcess
from benchmarks.speed.question_set import Question
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.requests import Request, ask_request
from convai.client.step_by_step import read_wire_names
from convai.description.pipeline import NETWORK_NAMES

OUTPUTS = ("question", "answer", "answer_score", "answer_span", "answer_audio")
AUDIO_TOLERANCE = 1e-3  # of full scale: what the pipeline promises of one request in any company

Processes = Callable[[], list[int]]


@dataclass(frozen=True)
class Reply:
    """One answer, how long it took, and how long each step took that the path itself called."""

    answer: Answer
    latency_seconds: float
    step_seconds: Mapping[str, float]

    def is_as(self, other: "Reply") -> bool:
        """Whether both say the same: to the letter in text, within what the pipeline promises in sound."""
        texts, others = ((one.answer.question, one.answer.answer, one.answer.answer_span) for one in (self, other))
        return texts == others and is_same_sound(self.answer.answer_audio, other.answer.answer_audio)


def is_same_sound(audio: np.ndarray | None, other: np.ndarray | None) -> bool:
    if audio is None or other is None:
        return audio is other
    return audio.shape == other.shape and bool(np.allclose(audio, other, rtol=0, atol=AUDIO_TOLERANCE))


class AnswerPath(Protocol):
    """`statistics` is a client of the Triton that tells the time of each step; None if nobody does."""

    @property
    def statistics(self) -> ConvaiClient | None: ...

    def ask(self, question: Question) -> Reply: ...

    def processes(self) -> list[int]:
        """Ids of all that do the work; none if they are elsewhere."""
        ...


class EnsemblePath:
    def __init__(self, client: ConvaiClient, processes: Processes = list):
        self.client = self.statistics = client
        self.processes = processes

    def ask(self, question: Question) -> Reply:
        start = time.perf_counter()
        answer = self.client.answer(request_of(question))
        return Reply(answer, time.perf_counter() - start, {})


class StepByStepPath:
    """The glue's processor time is that of this process, which is counted with the server's."""

    def __init__(self, client: ConvaiClient, processes: Processes, model_repository: Path, profile: str):
        self.client = self.statistics = client
        self.processes = lambda: [*processes(), os.getpid()]
        self.wire_names = {name: read_wire_names(client, name) for name in NETWORK_NAMES}
        self.pipeline = InProcess(python_steps(model_repository, profile) | by_name(NETWORK_NAMES, self.infer))

    def ask(self, question: Question) -> Reply:
        start = time.perf_counter()
        answer, step_seconds = self.pipeline.walk(request_of(question))
        return Reply(answer, time.perf_counter() - start, step_seconds)

    def infer(self, network: str, inputs: Arrays) -> Arrays:
        names = self.wire_names[network]
        outputs = tuple(wire_name for name, wire_name in names.items() if name not in inputs)
        made = self.client.infer(Request(network, inputs, outputs, {}))
        return {name: made[wire_name] for name, wire_name in names.items() if wire_name in made}


class FloorPath:
    statistics = None

    def __init__(self, model_repository: Path, profile: str):
        self.process = PipelineProcess(model_repository, profile)

    def ask(self, question: Question) -> Reply:
        made = self.process.run(request_of(question))
        return Reply(Answer.from_tensors(made.tensors), made.seconds, made.step_seconds)

    def processes(self) -> list[int]:
        return [self.process.pid]

    def close(self) -> None:
        self.process.close()


def request_of(question: Question) -> Request:
    return ask_request(question.audio, question.sample_rate, question.context, OUTPUTS)
