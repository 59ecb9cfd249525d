"""Questions and answers as bodies of HTTP requests: MessagePack, which carries samples as they lie in memory."""

from typing import Any, cast

import msgpack
import numpy as np

from benchmarks.speed.in_process import InProcess
from benchmarks.speed.paths import request_of
from benchmarks.speed.question_set import Question
from convai.client.answer import Answer


def pack_question(question: Question) -> bytes:
    return packed({"audio": question.audio, "sample_rate": question.sample_rate, "context": question.context})


def answered(pipeline: InProcess, body: bytes) -> bytes:
    """What a server replies to the body of a question."""
    fields = msgpack.unpackb(body)
    question = Question(samples(fields["audio"]), fields["sample_rate"], fields["context"])
    answer, _ = pipeline.walk(request_of(question))
    return packed({name: value for name, value in vars(answer).items() if value is not None})


def unpack_answer(body: bytes) -> Answer:
    fields = msgpack.unpackb(body, use_list=False)
    return Answer(**fields | {"answer_audio": samples(fields["answer_audio"])})


def packed(fields: dict[str, Any]) -> bytes:
    return cast(bytes, msgpack.packb(fields, default=lambda array: np.ascontiguousarray(array, np.float32).tobytes()))


def samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.float32)
