"""The best valid span of all windows becomes an exact substring of the context, or there is no answer."""

import itertools

import numpy as np
import pytest

from convai.backends.steps.answer_extractor import AnswerExtractor, find_best_span, sigmoid
from convai.errors import InvalidArgument

CONTEXT = "Ada met Bob in Rome in 1999"
WORDS = [(0, 3), (4, 7), (8, 11), (12, 14), (15, 19), (20, 22), (23, 27)]
FIRST = 3  # [CLS] question [SEP] before the context


def spans_of(words=WORDS, tokens=16):
    spans = np.zeros((1, tokens, 2), np.int32)
    spans[0, FIRST : FIRST + len(words)] = words
    return spans


def logits(peaks, tokens=16, windows=1):
    values = np.zeros((windows, tokens), np.float32)
    for (window, token), value in peaks.items():
        values[window, token] = value
    return values


def extract(start_logits, end_logits, spans=None, context=CONTEXT, **parameters):
    return AnswerExtractor(**parameters)(
        start_logits=start_logits,
        end_logits=end_logits,
        token_spans=spans_of() if spans is None else spans,
        context=context,
    )


def brute_force(start_logits, end_logits, spans, max_answer_tokens):
    valid = spans[..., 1] > spans[..., 0]
    windows, tokens = start_logits.shape
    return max(
        float(start_logits[w, i] + end_logits[w, j] - start_logits[w, 0] - end_logits[w, 0])
        for w, i in itertools.product(range(windows), range(tokens))
        for j in range(i, min(tokens, i + max_answer_tokens))
        if valid[w, i] and valid[w, j]
    )


def test_the_answer_is_the_substring_between_the_best_start_and_end():
    result = extract(logits({(0, FIRST): 5}), logits({(0, FIRST + 2): 5}))
    assert (result["answer"], result["sentence"]) == ("Ada met Bob", "Ada met Bob.")
    assert result["answer_span"].tolist() == [0, 11]
    assert (result["answer_span"].dtype, result["answer_score"].dtype) == (np.int32, np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_span_is_the_one_an_exhaustive_search_finds(seed):
    rng = np.random.default_rng(seed)
    start, end = rng.normal(size=(2, 3, 16)).astype(np.float32)
    spans = np.concatenate([spans_of(), spans_of(WORDS[2:5]), np.zeros((1, 16, 2), np.int32)])
    for max_answer_tokens in (1, 3, 30):
        span = find_best_span(start, end, spans, max_answer_tokens)
        assert span.log_odds == pytest.approx(brute_force(start, end, spans, max_answer_tokens), abs=1e-5)


def test_empty_windows_and_padding_change_nothing():
    rng = np.random.default_rng(1)
    start, end = rng.normal(size=(2, 1, 16)).astype(np.float32)
    alone = extract(start, end)
    noise = rng.normal(size=(4, 24)).astype(np.float32) * 100
    padded = [noise.copy() for _ in range(2)]
    padded[0][0, :16], padded[1][0, :16] = start[0], end[0]
    spans = np.zeros((4, 24, 2), np.int32)
    spans[:1, :16] = spans_of()
    together = extract(*padded, spans)
    assert together["answer"] == alone["answer"]
    np.testing.assert_array_equal(together["answer_score"], alone["answer_score"])


def test_the_score_rises_with_the_odds_and_stays_within_0_and_1():
    scores = [extract(start := logits({(0, 5): peak}), start)["answer_score"][0] for peak in (-1e30, -5, 0, 5, 1e30)]
    assert scores == sorted(scores)
    assert all(0 <= score <= 1 for score in scores)
    assert extract(logits({}), logits({}))["answer_score"][0] == 0.5
    assert extract(logits({}), logits({}), score_bias=1.0)["answer_score"][0] == pytest.approx(sigmoid(1.0))
    peak = logits({(0, 5): 3})
    assert extract(peak, peak, score_scale=0.5)["answer_score"][0] == pytest.approx(sigmoid(3.0))


def test_a_score_below_the_threshold_is_no_answer_and_keeps_its_value():
    start = logits({(0, 0): 2})
    result = extract(start, start, no_answer_threshold=0.5, fallback_sentence="No idea.")
    assert (result["answer"], result["sentence"]) == ("", "No idea.")
    assert result["answer_span"].tolist() == [-1, -1]
    assert result["answer_score"][0] == pytest.approx(sigmoid(-4.0))


def test_an_empty_question_has_no_answer_and_score_0():
    result = extract(logits({}), logits({}), np.zeros((1, 16, 2), np.int32))
    assert (result["answer"], result["answer_score"].tolist()) == ("", [0.0])
    assert result["answer_span"].tolist() == [-1, -1]
    assert result["sentence"] == AnswerExtractor().fallback_sentence


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [("in 1999", "in 1999."), ("in 1999.", "in 1999."), ("Who?", "Who?"), ("— …", "Sorry, no answer.")],
)
def test_the_sentence_ends_like_a_sentence_and_can_be_spoken(answer, sentence):
    start = logits({(0, FIRST): 5})
    spans = spans_of([(0, len(answer))])
    result = extract(start, start, spans, context=answer, fallback_sentence="Sorry, no answer.")
    assert result["answer"] == answer
    assert result["sentence"] == sentence


def test_an_answer_too_long_to_speak_is_cut_in_the_sentence_only():
    answer = "$1,234,567.89 " * 30
    start = logits({(0, FIRST): 5})
    result = extract(start, start, spans_of([(0, len(answer))]), context=answer)
    assert result["answer"] == answer
    assert result["sentence"].startswith("one million two hundred thirty-four thousand")
    assert len(result["sentence"]) <= 401


def test_logits_that_are_not_finite_are_an_error_of_ours():
    with pytest.raises(ValueError, match="got 2 NaN or infinite ones") as failure:
        extract(logits({(0, 0): np.nan, (0, 5): np.inf}), logits({}))
    assert not isinstance(failure.value, InvalidArgument)


def test_shapes_and_spans_that_do_not_fit_are_refused():
    with pytest.raises(InvalidArgument, match=r"got \[1, 16\], \[1, 8\] and \[1, 16\]"):
        extract(logits({}), logits({}, tokens=8))
    with pytest.raises(
        InvalidArgument, match="token_spans: expected 0 to 3, the characters of the context, got 0 to 27"
    ):
        extract(logits({}), logits({}), context="Ada")


@pytest.mark.parametrize(
    ("field", "value"), [("score_scale", -1), ("no_answer_threshold", -1), ("fallback_sentence", "...")]
)
def test_a_wrong_parameter_is_named(field, value):
    with pytest.raises(InvalidArgument, match=f"^{field}: expected .*, got '?{value}"):
        AnswerExtractor(**{field: value})
