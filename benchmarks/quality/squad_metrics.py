"""Exact match and F1 of answers, as SQuAD's official evaluation counts them."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


class Scores(NamedTuple):
    """Averages over all questions, in percent."""

    exact_match: float
    f1: float


def normalise_answer(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and surplus white space."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(answer: str, accepted: Iterable[str]) -> float:
    """1 if the answer equals any accepted one after normalisation, else 0."""
    return float(any(normalise_answer(answer) == normalise_answer(one) for one in accepted))


def f1(answer: str, accepted: Iterable[str]) -> float:
    """Best word overlap with any accepted answer, 0 to 1."""
    return max((word_f1(answer, one) for one in accepted), default=0.0)


def word_f1(answer: str, accepted: str) -> float:
    got, wanted = normalise_answer(answer).split(), normalise_answer(accepted).split()
    if not got or not wanted:
        return float(got == wanted)
    common = sum((Counter(got) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(got), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def score(answers: Sequence[str], accepted: Sequence[Sequence[str]]) -> Scores:
    """Average over questions; raises ValueError if there are none or the lists differ in length."""
    if not answers or len(answers) != len(accepted):
        raise ValueError(
            f"got {len(answers)} answers to {len(accepted)} questions; allowed are equally many, at least 1"
        )
    pairs = list(zip(answers, accepted, strict=True))
    return Scores(
        100 * sum(exact_match(*pair) for pair in pairs) / len(pairs),
        100 * sum(f1(*pair) for pair in pairs) / len(pairs),
    )
