"""The language model's texts are in spoken form, its probabilities sum to one and follow them, and KenLM reads it."""

import gzip
import json
from itertools import product

import numpy as np
import pytest

from training.language_model import books
from training.language_model.language_model import main, write
from training.language_model.ngrams import BEGIN, END, estimate, mix, split_key

BOOK = """Title: The Mill

*** START OF THE PROJECT GUTENBERG EBOOK THE MILL ***

CHAPTER ONE

The miller\u2019s daughter _never_ slept; she said: "The wheel
turns all night long." Nobody believed her in 1850.

The quick grey fox ran over the old stone bridge. It was late.

*** END OF THE PROJECT GUTENBERG EBOOK THE MILL ***
Nothing of the licence is read here.
"""
MILL = "the miller's daughter never slept she said the wheel turns all night long"


def random_sentences(count=400, seed=0):
    """Sentences over a few words, each of which prefers the one after it in the alphabet."""
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        word, sentence = rng.integers(6), []
        for _ in range(rng.integers(1, 8)):
            sentence.append("abcdef"[word])
            word = (word + 1) % 6 if rng.random() < 0.7 else min(rng.geometric(0.5) - 1, 5)
        sentences.append(sentence)
    return sentences


def log_probs_of(model):
    """log10 probability and backoff of every n-gram, by its words."""
    return {
        tuple(model.words[word] for word in split_key(int(key), order, len(model.words))): (log_prob, log_backoff)
        for order, level in enumerate(model.levels, start=1)
        for key, log_prob, log_backoff in zip(level.keys, level.log_probs, level.log_backoffs, strict=True)
    }


def log_prob(table, context, word):
    """As every reader of the format computes it: the longest n-gram there is, after the backoffs of longer contexts."""
    if (*context, word) in table:
        return table[(*context, word)][0]
    return table.get(context, (0, 0))[1] + log_prob(table, context[1:], word)


def assert_sums_to_one(model, table, max_order):
    for context in [(), *((word,) for word in model.words), *product(model.words, repeat=2)]:
        if END not in context and len(context) < max_order:
            total = sum(10 ** log_prob(table, context, word) for word in model.words)
            assert total == pytest.approx(1, abs=1e-6), context


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_mixture_sums_to_one_and_lies_between_its_models(share):
    sentences, others = random_sentences(), [list(reversed(sentence)) for sentence in random_sentences(seed=1)]
    one, other = estimate(sentences, [1, 2, 3]), estimate(others, [1, 1, 4])
    mixed = mix(one, other, share)
    one_table, other_table, table = log_probs_of(one), log_probs_of(other), log_probs_of(mixed)
    assert_sums_to_one(mixed, table, 3)
    for ngram in one_table.keys() | other_table.keys():
        parts = [10 ** log_prob(each, ngram[:-1], ngram[-1]) for each in (one_table, other_table)]
        assert 10 ** table[ngram][0] == pytest.approx(share * parts[0] + (1 - share) * parts[1])


def test_kenlm_reads_the_same_probabilities(tmp_path):
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    model = estimate(random_sentences(), [1, 2, 2])
    write(model, tmp_path / "model.arpa.gz")
    kenlm, table = KenLM(str(tmp_path / "model.arpa.gz"), Dictionary([*model.words, "<unk>"])), log_probs_of(model)
    for sentence in random_sentences(20, seed=1):
        state, history = kenlm.start(False), (BEGIN,)
        for word in sentence:
            state, score = kenlm.score(state, model.words.index(word))
            assert score == pytest.approx(log_prob(table, history[-2:], word), abs=0.02)
            history += (word,)


def test_the_command_writes_a_model(tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("who wrote the book\nwho wrote the song\n" * 3)
    out = tmp_path / "model.arpa.gz"
    assert main(["--texts", str(tmp_path / "lines.txt"), "--words", "3", "--out", str(out)]) == 0
    with gzip.open(out, "rt") as stream:
        content = stream.read()
    assert "\twho wrote\t" in content and "\t+k" in content and content.endswith("\\end\\\n")
    assert "3-grams" in capsys.readouterr().out


def test_a_sentence_that_shares_six_words_with_a_recording_is_left_out(tmp_path, capsys):
    for name in ("a", "b"):  # different folders often hold the same book
        (tmp_path / "books" / name).mkdir(parents=True)
        (tmp_path / "books" / name / "mill.txt").write_text(BOOK, encoding="utf-8")
    recording = {"audio": "a.wav", "text": "a fox ran over the old stone bridge again"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(recording) + "\n")
    out = tmp_path / "books.txt"
    books.main(["--folder", str(tmp_path / "books"), "--without", str(tmp_path / "manifest.jsonl"), "--out", str(out)])
    assert out.read_text().splitlines() == [MILL, "it was late"]
    assert "1 books, 16 words; 1 sentences left out" in capsys.readouterr().out
