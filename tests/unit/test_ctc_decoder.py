"""Greedy CTC decoding: repeats merge, blanks separate, only valid frames count."""

import numpy as np
import pytest

from convai.backends.steps.ctc_decoder import CtcDecoder, greedy_decode
from convai.description.pipeline import LABELS

BLANK = "_"


def log_probs_of(path, labels):
    """Log-probabilities whose best label in each frame is that of `path`; `_` is the blank."""
    columns = [(labels + BLANK).index(character) for character in path]
    noise = np.random.default_rng(0).uniform(-9, -2, size=(len(path), len(labels) + 1))
    noise[np.arange(len(path)), columns] = -0.1
    return noise.astype(np.float32)


def run(path, length=None):
    length = len(path) if length is None else length
    return CtcDecoder()(log_probs=log_probs_of(path, LABELS), log_probs_length=np.array([length], np.int32))


@pytest.mark.parametrize(
    ("path", "text"),
    [("aab", "ab"), ("a_ab", "aab"), ("__a__", "a"), ("___", ""), ("", ""), ("abba", "aba"), ("a_a_a", "aaa")],
)
def test_repeated_labels_merge_unless_a_blank_separates_them(path, text):
    assert greedy_decode(log_probs_of(path, "ab"), "ab") == text


@pytest.mark.parametrize("path", ["  hi  you ", "hi _ you", "_ hi you_ _", "hi  _  _ you"])
def test_spaces_are_single_and_none_is_at_the_ends(path):
    assert run(path)["question"] == "hi you"


def test_every_label_is_decoded_to_its_character():
    assert run(BLANK.join("ab'cdefghijklmnopqrstuvwxyz"))["question"] == "ab'cdefghijklmnopqrstuvwxyz"


def test_frames_past_the_length_are_ignored():
    assert run("who_xyz", length=4)["question"] == "who"


def test_no_valid_frame_is_an_empty_question():
    assert run("who", length=0) == {"question": "", "transcript": ""}


def test_the_transcript_is_the_question_again():
    result = run("why")
    assert result["question"] == result["transcript"] == "why"


@pytest.mark.parametrize("length", [-1, 4])
def test_a_length_outside_the_frames_is_refused(length):
    with pytest.raises(ValueError, match=f"got log_probs_length {length}; allowed is 0 to 3"):
        run("who", length)


def test_a_wrong_number_of_labels_is_refused():
    with pytest.raises(ValueError, match="got log_probs of 3 labels; allowed are 29"):
        CtcDecoder()(log_probs=np.zeros((2, 3), np.float32), log_probs_length=np.array([2]))


def test_an_unknown_decoder_is_refused():
    with pytest.raises(ValueError, match="^decoder: got 'psychic'; allowed is 'greedy'"):
        CtcDecoder(decoder="psychic")
