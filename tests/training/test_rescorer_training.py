"""Training the rescorer: from text files to the file that the server reads."""

import json
from dataclasses import replace

import numpy as np
import pytest

from convai.backends.steps.rescorer import Rescorer
from convai.errors import InvalidArgument
from training.common.training import Schedule
from training.language_model.books import read_dev_texts
from training.rescorer import corpus as corpus_program
from training.rescorer import train as train_program
from training.rescorer.batches import RescorerBatches, RescorerRecipe, split_step
from training.rescorer.corpus import Corpus, make_spelled_sentences
from training.rescorer.model import RescorerConfig

NAMES = [start + end for start in ("bar", "dor", "fen", "gil", "kel", "mor") for end in ("a", "os", "ix", "um")]
EVERYDAY = "Where is the sea?\nThe hills are far.\nNobody lived here.\nAn old secret.\n"
TINY = RescorerConfig(vocabulary=30, frequent=10, common=20, buckets=30, width=24, cells=32, tail_widths=(8, 8))
QUICK = RescorerRecipe(
    config=TINY,
    batch_words=200,
    question_share=0.6,
    schedule=Schedule(steps=100, peak_rate=1e-2, warm_up_steps=10, average_decay=0.9),
)


def squad(names):
    """Passages with two names, and questions about each; the names are not frequent words."""
    pairs = [(first, second) for first in names for second in names if first < second]
    paragraphs = [
        {
            "context": f"Long ago {first} lived by the sea and {second} in the hills.",
            "qas": [
                {"question": f"Who lived with {name}?", "answers": [{"text": name, "answer_start": 0}]}
                for name in (first, second)
            ],
        }
        for first, second in pairs
    ]
    return {"data": [{"title": "names", "paragraphs": paragraphs}]}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps(squad(NAMES[:12])))
    (tmp_path / "dev.json").write_text(json.dumps(squad(NAMES[12:16])))
    (tmp_path / "everyday.txt").write_text(EVERYDAY * 5)
    (tmp_path / "books.txt").write_text("long ago the sea was far\nwho was old\n" * 5)
    (tmp_path / "left_out.jsonl").write_text(json.dumps({"audio": "a.wav", "text": "an old secret"}) + "\n")
    return tmp_path


@pytest.fixture
def corpus(files, monkeypatch):
    monkeypatch.setattr(corpus_program, "RescorerConfig", lambda: TINY)
    texts = [str(files / name) for name in ("train.json", "everyday.txt")]
    arguments = ["--texts", *texts, "--general-texts", str(files / "books.txt")]
    arguments += ["--without", str(files / "left_out.jsonl"), "--out", str(files / "corpus.npz")]
    arguments += ["--spelled", "20"]
    assert corpus_program.main(arguments) == 0
    return Corpus.load(files / "corpus.npz")


def words_at(texts, index, corpus):
    return [corpus.words[place - 2] if place < TINY.vocabulary else "?" for place in texts.at(index)[0]]


def test_a_corpus_has_the_texts_without_those_left_out(corpus):
    assert len(corpus.words) == TINY.vocabulary - 2
    sentences = [" ".join(words_at(corpus.sentences, index, corpus)) for index in range(len(corpus.sentences))]
    assert sentences.count("where is the sea") == 5 and not [text for text in sentences if "secret" in text]
    assert len(sentences) > 132 + 66 + 15  # questions, passages, read and made sentences
    assert len(corpus.passages) == 66 and len(corpus.questions) == 132
    assert corpus.owners.tolist() == np.repeat(np.arange(66), 2).tolist()
    assert words_at(corpus.passages, 0, corpus)[:2] == ["long", "ago"]
    assert read_dev_texts([]) == set()


def test_spelled_sentences_have_letters_digits_and_dates_and_are_reproducible():
    sentences = [" ".join(words) for words in make_spelled_sentences(["kublai"], 300)]
    assert sentences == [" ".join(words) for words in make_spelled_sentences(["kublai"], 300)]
    assert {"k u b l a i", "kublai k u b l a i"} <= set(sentences)
    for word in ("june", "thousand", "oh", "zero", "nineteen"):
        assert any(word in sentence.split() for sentence in sentences)
    assert all(set(sentence) <= set("abcdefghijklmnopqrstuvwxyz ") for sentence in sentences)


def test_texts_of_too_few_words_are_refused(files):
    with pytest.raises(InvalidArgument, match="the texts: expected at least 31,998 different words, got 32"):
        corpus_program.read_corpus([files / "train.json", files / "everyday.txt"], [], set(), RescorerConfig())


def test_steps_show_each_kind_of_text_by_its_share(corpus):
    by_step = RescorerBatches(corpus, QUICK)
    batches = [by_step.at(step) for step in range(20)]
    about_passages = [batch for batch in batches if batch.passages is not None]
    assert len(about_passages) == 12
    for batch in about_passages:
        assert (batch.targets[:, 0] >= 0).all() and (batch.words[:, 0] == 1).all()
        assert batch.is_in_passage.any() and batch.owners.max() < len(batch.passages)
    assert [split_step(step, 0.25) for step in range(4)] == [(None, 0), (None, 1), (None, 2), (0, 3)]


def test_it_learns_to_point_at_names_that_are_not_in_its_texts(corpus, files, tmp_path):
    training = train_program.build_training(QUICK, corpus)
    losses = [training.step()["loss"] for _ in range(QUICK.schedule.steps)]
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    training.export(tmp_path / "rescorer.safetensors", "small", {"words": " ".join(corpus.words)})
    rescorer = Rescorer(tmp_path / "rescorer.safetensors")
    for there, elsewhere in (("morum", "dorum"), ("dorum", "morum")):
        context = f"Long ago kelix lived by the sea and {there} in the hills."
        named, other = rescorer([f"who lived with {there}", f"who lived with {elsewhere}"], context)
        assert named > other + 2


def test_the_program_writes_log_and_weights_and_resumes(corpus, files, monkeypatch, run_twice):
    monkeypatch.setattr(train_program, "RescorerRecipe", lambda config=TINY: replace(QUICK, config=config))
    options = ["--corpus", files / "corpus.npz", "--dev", files / "dev.json"]
    log = run_twice(train_program.main, files / "run", *options, steps=3)
    assert log[-1]["measured"].keys() == {"with_passage", "without"}
    assert np.isfinite(Rescorer(files / "run" / "rescorer.safetensors")(["who lived"])).all()
