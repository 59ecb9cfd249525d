"""Questions and answers as HTTP bodies: MessagePack, which carries samples without conversion."""

from typing import Any, cast

import msgpack
import numpy as np

from benchmarks.speed.in_process import InProcessPipeline
from benchmarks.speed.paths import build_request
from benchmarks.speed.question_set import Question
from convai.client.answer import Answer


def pack_question(question: Question) -> bytes:
    return _pack({"audio": question.audio, "sample_rate": question.sample_rate, "context": question.context})


def answer_body(pipeline: InProcessPipeline, body: bytes) -> bytes:
    """Answer a packed question; return the packed answer."""
    fields = msgpack.unpackb(body)
    question = Question(_read_samples(fields["audio"]), fields["sample_rate"], fields["context"])
    answer = pipeline.run(build_request(question)).answer
    return _pack({name: value for name, value in vars(answer).items() if value is not None})


def unpack_answer(body: bytes) -> Answer:
    fields = msgpack.unpackb(body, use_list=False)
    return Answer(**fields | {"answer_audio": _read_samples(fields["answer_audio"])})


def _pack(fields: dict[str, Any]) -> bytes:
    return cast(bytes, msgpack.packb(fields, default=lambda array: np.ascontiguousarray(array, np.float32).tobytes()))


def _read_samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.float32)
