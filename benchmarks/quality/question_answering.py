"""Question answering measured in process: serving's tokenizer and extractor around any way of running BERT."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import onnxruntime

from convai.backends.steps.answer_extractor import AnswerExtractor, best_span
from convai.backends.steps.qa_tokenizer import QaTokenizer
from convai.errors import InvalidArgument
from training.common.texts import read_squad

MAX_ANSWER_TOKENS = AnswerExtractor().max_answer_tokens

BertRunner = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Runs BERT: input_ids, token_type_ids, attention_mask (int64, shape = (windows, tokens)) -> start, end logits."""


def open_bert(model_file: Path, threads: int = 1) -> BertRunner:
    """Open an exported model.onnx."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session: Any = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in session.get_inputs()]

    def run(*windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start_logits, end_logits = session.run(
            None, {name: array[None] for name, array in zip(names, windows, strict=True)}
        )
        return start_logits[0], end_logits[0]

    return run


Item = TypeVar("Item")


@dataclass(frozen=True)
class AskedQuestion:
    """A question, the text to answer it from, and the answers that count as right; none = it cannot be answered."""

    question: str
    context: str
    accepted: tuple[str, ...]


class ForcedAnswer(NamedTuple):
    """What BERT answers when it must, and the log odds of that answer against none."""

    answer: str
    log_odds: float


def read_questions(squad_file: Path) -> list[AskedQuestion]:
    """Read a SQuAD-format file, plain or gzipped; version 2's impossible questions have no accepted answer."""
    return [
        AskedQuestion(entry["question"], paragraph["context"], tuple(a["text"] for a in entry.get("answers", ())))
        for article in read_squad(squad_file)
        for paragraph in article["paragraphs"]
        for entry in paragraph["qas"]
    ]


def sample(questions: Sequence[Item], count: int | None, seed: int = 0) -> list[Item]:
    """Draw `count` questions in random order; all of them, in random order, if `count` is None or larger."""
    order = np.random.default_rng(seed).permutation(len(questions))
    return [questions[index] for index in order[:count]]


def mismatched(questions: list[AskedQuestion], seed: int = 0) -> list[AskedQuestion]:
    """Give every question the context of another, one that holds none of its accepted answers.

    A question whose answer stands everywhere, such as "a", is left out. Raises InvalidArgument if that leaves none.
    """
    rng = np.random.default_rng(seed)
    strangers = [mismatch(question, questions, rng) for question in questions]
    found = [stranger for stranger in strangers if stranger is not None]
    if not found:
        raise InvalidArgument(
            f"each context holds an answer to each of {len(questions)} questions; allowed are more contexts"
        )
    return found


def mismatch(question: AskedQuestion, others: list[AskedQuestion], rng: np.random.Generator) -> AskedQuestion | None:
    answers = re.compile("|".join(rf"(?<!\w){re.escape(answer)}(?!\w)" for answer in question.accepted), re.IGNORECASE)
    for index in rng.permutation(len(others)):
        if not answers.search(others[index].context):
            return replace(question, context=others[index].context, accepted=())
    return None


def reply(tokenizer: QaTokenizer, bert: BertRunner, asked: AskedQuestion) -> ForcedAnswer:
    """Answer one question as the served steps do, but without a threshold."""
    windows = tokenizer(question=asked.question, context=asked.context)
    spans = windows.pop("token_spans")
    span = best_span(*bert(*windows.values()), spans, MAX_ANSWER_TOKENS)
    return ForcedAnswer(asked.context[span.start : span.end], span.log_odds) if span else ForcedAnswer("", -np.inf)
