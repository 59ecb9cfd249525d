"""Three paths from a spoken question to a spoken answer, to be compared.

ensemble        one call of `convai_ensemble`; everything happens in the server
step-by-step    the glue runs here, and each network is a call of the server: what the demo of 2020 did in its notebook
floor           glue and networks are called directly in one process: what the work itself takes

What they share: the files of one model repository, the glue's code and parameters, the networks' engines and threads.
"""

import multiprocessing
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from convai.benchmarks.speed.in_process import Arrays, InProcess, by_name, networks, python_steps
from convai.benchmarks.speed.question_set import Question
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.requests import Request, ask_request
from convai.client.step_by_step import wire_names_of
from convai.pipeline.description import NETWORK_NAMES
from convai.pipeline.mistakes import CallerMistake

OUTPUTS = ("question", "answer", "answer_score", "answer_span", "answer_audio")


@dataclass(frozen=True)
class Reply:
    """One answer, how long it took, and how long each step took that the path itself called."""

    heard: str
    answer: str
    spoken_seconds: float
    latency_seconds: float
    step_seconds: Mapping[str, float]


class EnsemblePath:
    def __init__(self, client: ConvaiClient):
        self.client = client

    def ask(self, question: Question) -> Reply:
        start = time.perf_counter()
        answer = self.client.answer(request_of(question))
        return reply_of(answer, time.perf_counter() - start, {})


class StepByStepPath:
    def __init__(self, client: ConvaiClient, model_repository: Path, profile: str):
        self.client = client
        self.wire_names = {name: wire_names_of(client, name) for name in NETWORK_NAMES}
        self.pipeline = InProcess(python_steps(model_repository, profile) | by_name(NETWORK_NAMES, self.infer))

    def ask(self, question: Question) -> Reply:
        return walk(self.pipeline, question)

    def infer(self, network: str, inputs: Arrays) -> Arrays:
        names = self.wire_names[network]
        outputs = tuple(wire_name for name, wire_name in names.items() if name not in inputs)
        made = self.client.infer(Request(network, inputs, outputs, {}))
        return {name: made[wire_name] for name, wire_name in names.items() if wire_name in made}


class FloorPath:
    """In a process of its own, since the threads of an engine are set once for a whole process."""

    def __init__(self, model_repository: Path, profile: str):
        spawn = multiprocessing.get_context("spawn")
        self.connection, far_end = spawn.Pipe()
        self.process = spawn.Process(target=serve_floor, args=(far_end, model_repository, profile), daemon=True)
        self.process.start()
        far_end.close()

    def ask(self, question: Question) -> Reply:
        self.connection.send(question)
        reply = self.connection.recv()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        self.connection.close()
        self.process.join()


def serve_floor(connection: Connection, model_repository: Path, profile: str) -> None:
    """Answer questions until the other end is closed, or its process has died."""
    pipeline = None
    with suppress(EOFError):
        while question := connection.recv():
            try:
                pipeline = pipeline or InProcess(
                    python_steps(model_repository, profile) | networks(model_repository, profile)
                )
                connection.send(walk(pipeline, question))
            except (CallerMistake, OSError) as error:
                connection.send(error)


def walk(pipeline: InProcess, question: Question) -> Reply:
    start = time.perf_counter()
    answer, step_seconds = pipeline.walk(request_of(question))
    return reply_of(answer, time.perf_counter() - start, step_seconds)


def request_of(question: Question) -> Request:
    return ask_request(question.audio, question.sample_rate, question.context, OUTPUTS)


def reply_of(answer: Answer, latency_seconds: float, step_seconds: dict[str, float]) -> Reply:
    assert answer.question is not None and answer.answer is not None  # OUTPUTS holds both
    return Reply(answer.question, answer.answer, answer.seconds, latency_seconds, step_seconds)
