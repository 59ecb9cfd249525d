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


def test_frames_past_the_length_are_ignored():
    assert run("who_xyz", length=4) == {"question": "who", "transcript": "who"}
    assert run("who", length=0) == {"question": "", "transcript": ""}


def test_words_and_their_times_are_given_on_request_alone():
    path = "_wwho__ is_"
    inputs = {"log_probs": log_probs_of(path, LABELS), "log_probs_length": np.array([len(path)], np.int32)}
    decoder = CtcDecoder(frame_seconds=0.1)
    assert set(decoder(**inputs)) == {"question", "transcript"}
    outputs = decoder(**inputs, requested=decoder.outputs_on_request)
    assert outputs["words"].tolist() == [b"who", b"is"]
    np.testing.assert_allclose(outputs["word_times"], [(0.1, 0.48), (0.8, 0.98)], rtol=1e-6)


def test_silence_has_no_words():
    outputs = CtcDecoder()(
        log_probs=log_probs_of("___", LABELS), log_probs_length=np.array([3], np.int32), requested=("words",)
    )
    assert outputs["words"].shape == (0,) and outputs["word_times"].shape == (0, 2)


def test_nan_is_an_error_of_ours():
    with pytest.raises(ValueError, match="log_probs: expected numbers, got NaN"):
        CtcDecoder()(log_probs=np.full((3, 29), np.nan), log_probs_length=np.array([3]))


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


@pytest.mark.parametrize(
    ("frames", "labels", "length", "message"),
    [
        (3, 29, -1, "log_probs_length: expected 0 to 3 frames, got -1"),
        (3, 29, 4, "log_probs_length: expected 0 to 3 frames, got 4"),
        (2, 3, 2, "log_probs: expected 29 labels, got 3"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(frames, labels, length, message):
    with pytest.raises(InvalidArgument, match=message):
        CtcDecoder()(log_probs=np.zeros((frames, labels), np.float32), log_probs_length=np.array([length]))
