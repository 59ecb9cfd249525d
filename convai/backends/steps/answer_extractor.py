"""Last step of question answering: BERT's logits become the answer, its score and the sentence to speak."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.checks import check_range
from convai.errors import InvalidArgument
from convai.text.text_normalizer import is_speakable, normalise_text

NO_SPAN = (-1, -1)
MAX_ANSWER_TOKENS = 30  # as in BERT's run_squad
MAX_SENTENCE_CHARACTERS = 400  # spelled out; keeps long answers, such as tables, within what can be spoken


class Span(NamedTuple):
    """The best answer of all windows."""

    start: int  # character in the context
    end: int  # exclusive
    log_odds: float  # of this span against no answer


def find_best_span(start_logits: Array, end_logits: Array, token_spans: Array, max_answer_tokens: int) -> Span | None:
    """Find the span of context tokens with the best odds against no answer; None without a context token.

    A span's score is the sum of its two logits, that of no answer the sum at [CLS], the first token. Their difference
    is taken within each window, because logits of different windows cannot be compared: a window without the answer
    prefers its own [CLS] and so does not outvote the window with the answer.

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


def count_answer(inputs: Row, outputs: Row) -> int:
    """1 for a question that the context answers, 0 for any other."""
    return int(bool(outputs["answer"]))


def count_no_answer(inputs: Row, outputs: Row) -> int:
    return 1 - count_answer(inputs, outputs)


@dataclass(frozen=True)
class AnswerExtractor(PythonStep):
    """Start and end logits -> exact substring of the context, or no answer and a fallback sentence."""

    counters: ClassVar[tuple[Counter, ...]] = (
        Counter("convai_answers_total", "Questions that their context answers", count_answer),
        Counter("convai_no_answers_total", "Questions that their context does not answer", count_no_answer),
    )

    score_scale: float = 1.0  # answer_score = sigmoid(score_scale * log_odds + score_bias)
    score_bias: float = 0.0
    no_answer_threshold: float = 0.0  # a score below this counts as no answer
    fallback_sentence: str = "Sorry, I could not find an answer to that."

    def __post_init__(self):
        check_range("score_scale", self.score_scale, 1e-6, 1e6)
        check_range("score_bias", self.score_bias, -1e6, 1e6)
        check_range("no_answer_threshold", self.no_answer_threshold, 0, 1)
        if not is_speakable(normalise_text(self.fallback_sentence)):
            raise InvalidArgument(f"fallback_sentence: expected a text with words, got {self.fallback_sentence!r}")

    def __call__(
        self, *, start_logits: Array, end_logits: Array, token_spans: Array, context: str
    ) -> dict[str, Array | str]:
        """Extract the answer of one question; shapes as in `find_best_span`.

        Returns
        -------
        answer : substring of `context`; empty when there is no answer
        answer_score : float32, shape = (1,), 0 to 1
        answer_span : int32, shape = (2,), characters in `context`; -1, -1 when there is no answer
        sentence : what to speak
        """
        check_shapes(start_logits, end_logits, token_spans, context)
        span = find_best_span(start_logits, end_logits, token_spans, MAX_ANSWER_TOKENS)
        score = sigmoid(self.score_scale * span.log_odds + self.score_bias) if span else 0.0
        start, end = span[:2] if span and score >= self.no_answer_threshold else NO_SPAN
        answer = context[start:end] if start >= 0 else ""
        return {
            "answer": answer,
            "answer_score": np.array([score], np.float32),
            "answer_span": np.array([start, end], np.int32),
            "sentence": self._make_sentence(answer),
        }

    def _make_sentence(self, answer: str) -> str:
        # Only the spelled-out answer shows whether it can be spoken, and how long it is.
        spelled_out = normalise_text(answer)
        if not is_speakable(spelled_out):
            return self.fallback_sentence
        if len(spelled_out) > MAX_SENTENCE_CHARACTERS:
            whole_words = spelled_out[: MAX_SENTENCE_CHARACTERS + 1].rpartition(" ")[0]
            answer = whole_words or spelled_out[:MAX_SENTENCE_CHARACTERS]
        return answer if answer.endswith((".", "!", "?")) else f"{answer}."


def check_shapes(start_logits: Array, end_logits: Array, token_spans: Array, context: str) -> None:
    """Refuse logits and spans of different tokens or outside the context; ValueError for logits that are not finite."""
    shapes = [list(array.shape) for array in (start_logits, end_logits, token_spans[..., 0])]
    if shapes[0] != shapes[1] or shapes[1] != shapes[2]:
        raise InvalidArgument(
            "start_logits, end_logits, token_spans: expected equal numbers of windows and tokens, "
            f"got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    num_odd = int((~np.isfinite(start_logits)).sum() + (~np.isfinite(end_logits)).sum())
    if num_odd:  # not an invalid argument: the network made them
        raise ValueError(f"start_logits, end_logits: expected finite numbers, got {num_odd} NaN or infinite ones")
    if token_spans.size and not 0 <= token_spans.min() <= token_spans.max() <= len(context):
        raise InvalidArgument(
            f"token_spans: expected 0 to {len(context)}, the characters of the context, "
            f"got {token_spans.min()} to {token_spans.max()}"
        )
