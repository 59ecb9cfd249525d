"""Last step of understanding: BERT's logits become the answer, its score and the sentence to speak."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.text_normalizer import is_speakable, normalize
from convai.errors import InvalidArgument

NO_SPAN = (-1, -1)


class Span(NamedTuple):
    """The best answer of all windows."""

    start: int  # character in the context
    end: int  # exclusive
    log_odds: float  # of this span against no answer


def best_span(start_logits: Array, end_logits: Array, token_spans: Array, max_answer_tokens: int) -> Span | None:
    """The span of context tokens that is likeliest against no answer; None if no token is of the context.

    A span's score is the sum of its two logits, that of no answer the sum at [CLS], the first token. Their
    difference is taken within each window, because a softmax over one window says nothing about another:
    a window without the answer prefers its own [CLS] and so cannot outvote the window that holds it.

    Parameters
    ----------
    start_logits, end_logits : float32, shape = (windows, tokens)
    token_spans : int32, shape = (windows, tokens, 2), characters; (0, 0) = not a context token
    max_answer_tokens : a span holds at most this many tokens
    """
    is_context = token_spans[..., 1] > token_spans[..., 0]
    if not is_context.any():
        return None
    starts = np.where(is_context, start_logits, -np.inf)
    ends = np.pad(
        np.where(is_context, end_logits, -np.inf), ((0, 0), (0, max_answer_tokens - 1)), constant_values=-np.inf
    )
    reachable = np.lib.stride_tricks.sliding_window_view(ends, max_answer_tokens, axis=1)
    null_scores = start_logits[:, :1] + end_logits[:, :1]
    log_odds = starts + reachable.max(axis=2) - null_scores
    window, first = np.unravel_index(log_odds.argmax(), log_odds.shape)
    last = first + reachable[window, first].argmax()
    return Span(int(token_spans[window, first, 0]), int(token_spans[window, last, 1]), float(log_odds[window, first]))


def sigmoid(x: float) -> float:
    """Logistic function without overflow for large negative `x`."""
    return float(np.exp(-np.logaddexp(0.0, -x)))


def answers(inputs: Row, outputs: Row) -> int:
    """1 for a question that the context answers, 0 for any other."""
    return int(bool(outputs["answer"]))


def no_answers(inputs: Row, outputs: Row) -> int:
    return 1 - answers(inputs, outputs)


@dataclass(frozen=True)
class AnswerExtractor(PythonStep):
    """Start and end logits -> exact substring of the context, or no answer and a fallback sentence."""

    counters: ClassVar[tuple[Counter, ...]] = (
        Counter("convai_answers_total", "Questions that their context answers", answers),
        Counter("convai_no_answers_total", "Questions that their context does not answer", no_answers),
    )

    max_answer_tokens: int = 30
    score_scale: float = 1.0  # answer_score = sigmoid(score_scale * log_odds + score_bias)
    score_bias: float = 0.0
    no_answer_threshold: float = 0.0  # a score below this counts as no answer
    fallback_sentence: str = "Sorry, I could not find an answer to that."
    max_sentence_characters: int = 400  # as spoken; keeps odd answers, such as tables, within what can be spoken

    def __post_init__(self):
        if self.max_answer_tokens < 1:
            raise ValueError(f"max_answer_tokens: got {self.max_answer_tokens}; allowed is at least 1")
        if not 0 < self.score_scale < np.inf:
            raise ValueError(f"score_scale: got {self.score_scale}; allowed is above 0")
        if not np.isfinite(self.score_bias):
            raise ValueError(f"score_bias: got {self.score_bias}; allowed is a finite number")
        if not 0 <= self.no_answer_threshold <= 1:
            raise ValueError(f"no_answer_threshold: got {self.no_answer_threshold}; allowed is 0 to 1")
        if not is_speakable(normalize(self.fallback_sentence)):
            raise ValueError(f"fallback_sentence: got {self.fallback_sentence!r}; allowed is a text with words")
        if self.max_sentence_characters < 1:
            raise ValueError(f"max_sentence_characters: got {self.max_sentence_characters}; allowed is at least 1")

    def __call__(
        self, *, start_logits: Array, end_logits: Array, token_spans: Array, context: str
    ) -> dict[str, Array | str]:
        """Answer of one question; shapes as in `best_span`.

        Returns
        -------
        answer : substring of `context`; empty when there is no answer
        answer_score : float32, shape = (1,), 0 to 1
        answer_span : int32, shape = (2,), characters in `context`; -1, -1 when there is no answer
        sentence : what to speak
        """
        check_shapes(start_logits, end_logits, token_spans, context)
        span = best_span(start_logits, end_logits, token_spans, self.max_answer_tokens)
        score = sigmoid(self.score_scale * span.log_odds + self.score_bias) if span else 0.0
        start, end = span[:2] if span and score >= self.no_answer_threshold else NO_SPAN
        answer = context[start:end] if start >= 0 else ""
        return {
            "answer": answer,
            "answer_score": np.array([score], np.float32),
            "answer_span": np.array([start, end], np.int32),
            "sentence": self._sentence(answer),
        }

    def _sentence(self, answer: str) -> str:
        spoken = normalize(answer)
        if not is_speakable(spoken):
            return self.fallback_sentence
        if len(spoken) > self.max_sentence_characters:
            answer = _cut(spoken, self.max_sentence_characters)
        return answer if answer.endswith((".", "!", "?")) else f"{answer}."


def _cut(text: str, max_characters: int) -> str:
    whole_words = text[: max_characters + 1].rpartition(" ")[0]
    return whole_words or text[:max_characters]


def check_shapes(start_logits: Array, end_logits: Array, token_spans: Array, context: str) -> None:
    """Raise InvalidArgument unless the logits are of the same tokens, those of the context; ValueError if infinite."""
    shapes = [list(array.shape) for array in (start_logits, end_logits, token_spans[..., 0])]
    if shapes[0] != shapes[1] or shapes[1] != shapes[2]:
        raise InvalidArgument(
            "got start_logits, end_logits and token_spans of "
            f"{shapes[0]}, {shapes[1]} and {shapes[2]} windows x tokens; allowed are equal shapes"
        )
    num_odd = int((~np.isfinite(start_logits)).sum() + (~np.isfinite(end_logits)).sum())
    if num_odd:  # no mistake of the caller: the network made them
        raise ValueError(f"got {num_odd} NaN or infinite logits; allowed are finite ones")
    if token_spans.size and not 0 <= token_spans.min() <= token_spans.max() <= len(context):
        raise InvalidArgument(
            f"got token_spans from {token_spans.min()} to {token_spans.max()}; "
            f"allowed is 0 to {len(context)}, the characters of the context"
        )
