"""Questions about contexts, from SQuAD-format files, and how SQuAD scores answers to them."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from convai.backends.steps.answer_extractor import MAX_ANSWER_TOKENS, find_best_span
from convai.backends.steps.qa_tokenizer import QaTokenizer
from convai.backends.steps.transcripts import spoken_form
from convai.errors import InvalidArgument
from training.common.texts import read_squad

MAX_LETTERS = 200  # of a question to speak; about 14 s of speech
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)

BertRunner = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Runs BERT: input_ids, token_type_ids, attention_mask (int64, shape = (windows, tokens)) -> start, end logits."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class AskedQuestion:
    """A question, its context, and the accepted answers; without any, the context does not hold the answer."""

    question: str
    context: str
    accepted: tuple[str, ...]


def is_short(asked: AskedQuestion) -> bool:
    return 0 < len(spoken_form(asked.question)) <= MAX_LETTERS


class ForcedAnswer(NamedTuple):
    """BERT's best answer without a threshold, and the log odds of that answer against none."""

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


def draw_items(items: Sequence[Item], count: int | None, seed: int = 0) -> list[Item]:
    """Draw `count` items in random order; all of them if `count` is None or larger."""
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[index] for index in order[:count]]


def mismatch_questions(questions: Sequence[AskedQuestion], seed: int = 0) -> list[AskedQuestion]:
    """Give every question the context of another one that holds none of its accepted answers.

    A question whose answer is in every context, such as "a", is left out. Raises InvalidArgument if that leaves none.
    """
    rng = np.random.default_rng(seed)
    mismatched = []
    for question in questions:
        words = "|".join(rf"(?<!\w){re.escape(answer)}(?!\w)" for answer in question.accepted)
        contexts = (questions[index].context for index in rng.permutation(len(questions)))
        context = next((one for one in contexts if not re.search(words, one, re.IGNORECASE)), None)
        if context is not None:
            mismatched.append(replace(question, context=context, accepted=()))
    if not mismatched:
        raise InvalidArgument(f"expected more contexts: each holds an answer to each of {len(questions)} questions")
    return mismatched


def answer_question(tokenizer: QaTokenizer, bert: BertRunner, asked: AskedQuestion) -> ForcedAnswer:
    """Answer one question with the served steps, but without a threshold."""
    windows = tokenizer(question=asked.question, context=asked.context)
    spans = windows.pop("token_spans")
    span = find_best_span(*bert(*windows.values()), spans, MAX_ANSWER_TOKENS)
    return ForcedAnswer(asked.context[span.start : span.end], span.log_odds) if span else ForcedAnswer("", -np.inf)


class Scores(NamedTuple):
    """SQuAD's exact match and F1, averages over all questions in percent."""

    exact_match: float
    f1: float


def score_answers(answers: Sequence[str], accepted: Sequence[Sequence[str]]) -> Scores:
    """Average over questions, of which there has to be at least one."""
    pairs = list(zip(answers, accepted, strict=True))
    if not pairs:
        raise InvalidArgument("expected at least 1 answer to score, got 0")
    exact = sum(any(normalise_answer(answer) == normalise_answer(one) for one in right) for answer, right in pairs)
    return Scores(100 * exact / len(pairs), 100 * sum(compute_f1(*pair) for pair in pairs) / len(pairs))


def normalise_answer(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and surplus white space."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def compute_f1(answer: str, accepted: Iterable[str]) -> float:
    """Return the best word overlap with any accepted answer, 0 to 1."""
    return max((_compute_word_f1(answer, one) for one in accepted), default=0.0)


def _compute_word_f1(answer: str, accepted: str) -> float:
    got, expected = normalise_answer(answer).split(), normalise_answer(accepted).split()
    if not got or not expected:
        return float(got == expected)
    common = sum((Counter(got) & Counter(expected)).values())
    return 2 * common / (len(got) + len(expected))  # the harmonic mean of precision and recall
