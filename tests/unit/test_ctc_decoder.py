"""Greedy CTC decoding: repeats merge, blanks separate, only valid frames count."""

import numpy as np
import pytest

from convai.backends.steps.ctc_decoder import CtcDecoder, greedy_decode
from convai.description.limits import MAX_CONTEXT_BYTES
from convai.description.pipeline import LABELS
from convai.errors import InvalidArgument

BLANK = "_"


def log_probs_of(path, labels):
    """Log-probabilities whose best label in each frame is that of `path`; `_` is the blank."""
    columns = [(labels + BLANK).index(character) for character in path]
    noise = np.random.default_rng(0).uniform(-9, -2, size=(len(path), len(labels) + 1))
    noise[np.arange(len(path)), columns] = -0.1
    return noise.astype(np.float32)


def run(path, length=None, context=""):
    length = np.array([len(path) if length is None else length], np.int32)
    return CtcDecoder()(log_probs=log_probs_of(path, LABELS), log_probs_length=length, context=context)


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
    assert run("who_xyz", length=4) == {"question": "who", "transcript": "who"}
    assert run("who", length=0) == {"question": "", "transcript": ""}


@pytest.mark.parametrize("length", [-1, 4])
def test_a_length_outside_the_frames_is_refused(length):
    with pytest.raises(InvalidArgument, match=f"log_probs_length: expected 0 to 3 frames, got {length}"):
        run("who", length)


def test_a_wrong_number_of_labels_is_refused():
    with pytest.raises(InvalidArgument, match="log_probs: expected 29 labels, got 3"):
        CtcDecoder()(log_probs=np.zeros((2, 3), np.float32), log_probs_length=np.array([2]))


def test_a_context_above_the_limit_is_refused_before_it_is_used():
    assert run("who", context="x" * MAX_CONTEXT_BYTES)["question"] == "who"
    with pytest.raises(InvalidArgument, match="context: expected at most 32768 bytes of UTF-8, got 32769"):
        run("who", context="x" * MAX_CONTEXT_BYTES + "x")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"decoder": "psychic"}, "^decoder: expected 'greedy' or 'beam_search', got 'psychic'"),
        ({"decoder": "beam_search"}, "^language_model_file: expected an ARPA file, .* got none"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, message):
    with pytest.raises(InvalidArgument, match=message):
        CtcDecoder(**parameters)
