"""The benchmark of decoding: half of the recordings choose the weights, the other half measures them."""

import numpy as np
import pytest

from benchmarks.tuning.decoding import Recognised, main, measure, save_recognised
from convai.backends.steps.ctc_decoder import CtcDecoder
from convai.description.pipeline import LABELS
from training.language_model.language_model import write
from training.language_model.ngrams import estimate


def recognise_as(path, text, group="clear", context=""):
    log_probs = np.full((len(path), len(LABELS) + 1), -9, np.float16)
    log_probs[np.arange(len(path)), [LABELS.index(letter) for letter in path]] = -0.2
    return Recognised(log_probs, text, group, seconds=len(path) / 50, context=context)


RECOGNISED = [
    recognise_as("who wrote it", "who wrote it"),
    recognise_as("where is it", "where is it"),
    recognise_as("wha wrote it", "who wrote it", "noisy"),
    recognise_as("whera is it", "where is it", "noisy", context="Here it is."),
]


def test_word_errors_are_counted_over_all_and_by_group():
    figures = measure("greedy", CtcDecoder(), RECOGNISED).figures
    assert figures["WER"] == pytest.approx(100 * 2 / 12)
    assert figures["clear"] == 0
    assert figures["noisy"] == pytest.approx(100 * 2 / 6)
    assert figures["ms/s"] >= 0


def test_the_command_reports_greedy_and_the_best_search(tmp_path, capsys):
    save_recognised(RECOGNISED, tmp_path / "saved.npz")
    write(estimate([one.text.split() for one in RECOGNISED], [1, 1]), tmp_path / "model.arpa.gz")
    arguments = ["--log-probs", str(tmp_path / "saved.npz"), "--language-model", str(tmp_path / "model.arpa.gz")]
    assert main([*arguments, "--language-model-weight", "0.5", "1", "--beam-width", "20"]) == 0
    chosen, others = capsys.readouterr().out.split("best: ")
    assert "greedy" in chosen and "beam 20, weight 1, bonus 0.5" in chosen
    assert "on the other recordings" in others and "noisy" in others
    assert ", no context" in others
