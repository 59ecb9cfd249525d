"""Forced alignment: the likeliest path of a text, and the times of its words."""

from itertools import product

import numpy as np
import pytest

from benchmarks.quality.word_times import find_deviations
from convai.backends.steps.word_times import LAST_LABEL_SECONDS, align_labels, time_words
from convai.client import Word

ALPHABET = " ab"
BLANK = len(ALPHABET)
FRAME_SECONDS = 0.1


def draw_log_probs(frames, seed):
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(ALPHABET) + 1), size=frames)
    return np.log(probabilities).astype(np.float32)


def log_probs_of(path):
    """Log-probabilities of a path that is nearly certain; `_` is the blank."""
    labels = [(ALPHABET + "_").index(letter) for letter in path]
    return np.log(np.eye(len(ALPHABET) + 1, dtype=np.float32)[labels] * 0.99 + 0.0025)


def labels_of(text):
    return np.array([ALPHABET.index(letter) for letter in text])


def align_by_trying_all(log_probs, text):
    """First and last frames of the labels on the likeliest of all paths."""
    paths = [path for path in product(range(BLANK + 1), repeat=len(log_probs)) if spells(path, text)]
    best = max(paths, key=lambda path: log_probs[np.arange(len(path)), list(path)].sum())
    changes = [frame for frame, label in enumerate(best) if label != BLANK and (not frame or best[frame - 1] != label)]
    lasts = [
        max(frame for frame in range(first, len(best)) if set(best[first : frame + 1]) == {best[first]})
        for first in changes
    ]
    return changes, lasts


def spells(path, text):
    kept = [label for frame, label in enumerate(path) if label != BLANK and (not frame or path[frame - 1] != label)]
    return "".join(ALPHABET[label] for label in kept) == text


@pytest.mark.parametrize("text", ["a", "aa", "ab", "a b", "abab"])
@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_the_likeliest_of_all(text, seed):
    log_probs = draw_log_probs(6, seed)
    first, last = align_labels(log_probs, labels_of(text))
    assert (first.tolist(), last.tolist()) == align_by_trying_all(log_probs, text)


def test_a_text_that_the_frames_cannot_hold_is_an_error_of_ours():
    assert align_labels(draw_log_probs(3, 0), labels_of("aa"))[0].tolist() == [0, 2]
    with pytest.raises(ValueError, match="labels: expected a text that fits into 2 frames, got 2 labels"):
        align_labels(draw_log_probs(2, 0), labels_of("aa"))


def test_a_word_lasts_from_its_first_label_until_a_little_after_its_last():
    times = time_words(log_probs_of("___aab__ _ba___"), "ab ba", ALPHABET, FRAME_SECONDS)
    assert times.dtype == np.float32
    expected = [(0.3, 0.5 + LAST_LABEL_SECONDS), (1.0, 1.1 + LAST_LABEL_SECONDS)]
    np.testing.assert_allclose(times, expected, rtol=1e-6)


def test_a_word_ends_before_the_next_starts_and_within_the_audio():
    times = time_words(log_probs_of("ab ba"), "ab ba", ALPHABET, 0.02)
    np.testing.assert_allclose(times, [(0, 0.06), (0.06, 0.1)], rtol=1e-6)


def test_silence_before_a_word_shifts_it_and_costs_no_alignment(monkeypatch):
    path = "_ab__ b_"
    aligned = []
    monkeypatch.setattr(
        "convai.backends.steps.word_times.align_labels",
        lambda log_probs, labels: aligned.append(len(log_probs)) or align_labels(log_probs, labels),
    )
    certain = [np.where(log_probs_of(text) > -1, 0, -9) for text in (path, "_" * 50 + path)]
    alone, later = (time_words(log_probs, "ab b", ALPHABET, FRAME_SECONDS) for log_probs in certain)
    np.testing.assert_allclose(later, alone + 5, rtol=1e-6)
    assert aligned[0] == aligned[1]


def test_an_empty_text_has_no_times():
    assert time_words(log_probs_of("___"), "", ALPHABET, FRAME_SECONDS).shape == (0, 2)


def test_times_are_compared_over_the_words_in_common():
    spoken = [Word("who", 0, 1), Word("is", 1, 2), Word("ada", 2, 3)]
    transcribed = [Word("who", 0.25, 1), Word("his", 1, 2), Word("ada", 2, 3.5), Word("then", 4, 5)]
    assert find_deviations(spoken, transcribed).tolist() == [[0.25, 0], [0, 0.5]]
    assert find_deviations(spoken, []).shape == (0, 2)
