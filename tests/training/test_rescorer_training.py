"""Training the rescorer: from text files to a file that the server's step reads."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from convai.backends.steps.rescorer import Rescorer
from convai.errors import InvalidArgument
from training.common.training import Schedule
from training.language_model.books import measured_texts
from training.rescorer import corpus as corpus_program
from training.rescorer import train as train_program
from training.rescorer.corpus import Corpus
from training.rescorer.model import RescorerConfig
from training.rescorer.spelled import spelled_sentences
from training.rescorer.training import Recipe, Steps, parted, training_of

NAMES = [start + end for start in ("bar", "dor", "fen", "gil", "kel", "mor") for end in ("a", "os", "ix", "um")]
EVERYDAY = "Where is the sea?\nThe hills are far.\nNobody lived here.\nAn old secret.\n"
TINY = RescorerConfig(vocabulary=30, frequent=10, common=20, buckets=30, width=24, cells=32, tail_widths=(8, 8))
RECIPE = Recipe(
    TINY,
    batch_words=200,
    question_share=0.6,
    schedule=Schedule(steps=100, peak_rate=1e-2, warm_up_steps=10, average_decay=0.9),
)


def squad(names):
    """Passages that name two things, and questions about either; the names are not among the frequent words."""
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
    (tmp_path / "kept_out.jsonl").write_text(json.dumps({"audio": "a.wav", "text": "an old secret"}) + "\n")
    return tmp_path


@pytest.fixture
def corpus(files, monkeypatch):
    monkeypatch.setattr(corpus_program, "RescorerConfig", lambda: TINY)
    texts = [str(files / name) for name in ("train.json", "everyday.txt")]
    arguments = ["--texts", *texts, "--general-texts", str(files / "books.txt")]
    arguments += ["--without", str(files / "kept_out.jsonl"), "--out", str(files / "corpus.npz")]
    arguments += ["--spelled", "20"]
    assert corpus_program.main(arguments) == 0
    return Corpus.load(files / "corpus.npz")


def words_at(texts, index, corpus):
    return [corpus.words[place - 2] if place < TINY.vocabulary else "?" for place in texts.at(index)[0]]


def test_a_corpus_holds_the_texts_but_those_to_keep_out(corpus):
    assert len(corpus.words) == TINY.vocabulary - 2
    sentences = [" ".join(words_at(corpus.sentences, index, corpus)) for index in range(len(corpus.sentences))]
    assert sentences.count("where is the sea") == 5 and not [text for text in sentences if "secret" in text]
    assert len(sentences) > 132 + 66 + 15  # questions, passages, what was read and what was made
    assert len(corpus.passages) == 66 and len(corpus.questions) == 132
    assert corpus.owners.tolist() == np.repeat(np.arange(66), 2).tolist()
    assert words_at(corpus.passages, 0, corpus)[:2] == ["long", "ago"]
    assert measured_texts([]) == set()


def test_letters_digits_numbers_and_dates_are_made_the_same_each_time():
    sentences = [" ".join(words) for words in spelled_sentences(["kublai"], 300)]
    assert sentences == [" ".join(words) for words in spelled_sentences(["kublai"], 300)]
    assert {"k u b l a i", "kublai k u b l a i"} <= set(sentences)
    for said in ("june", "thousand", "oh", "zero", "nineteen"):
        assert any(said in sentence.split() for sentence in sentences)
    assert all(set(sentence) <= set("abcdefghijklmnopqrstuvwxyz ") for sentence in sentences)


def test_too_few_words_are_refused(files):
    with pytest.raises(InvalidArgument, match="the texts hold 32 words; needed are 31,998"):
        corpus_program.corpus_of([files / "train.json", files / "everyday.txt"], [], set(), RescorerConfig())


def test_steps_show_each_kind_of_text_by_its_share(corpus):
    steps = Steps(corpus, RECIPE)
    batches = [steps.at(step) for step in range(20)]
    about_passages = [batch for batch in batches if batch.passages is not None]
    assert len(about_passages) == 12
    for batch in about_passages:
        assert (batch.targets[:, 0] >= 0).all() and (batch.words[:, 0] == 1).all()
        assert batch.is_in_passage.any() and batch.owners.max() < len(batch.passages)
    assert [parted(step, 0.25) for step in range(4)] == [(None, 0), (None, 1), (None, 2), (0, 3)]


def test_it_learns_to_point_at_names_that_it_never_saw(corpus, files, tmp_path):
    torch.set_num_threads(1)
    training = training_of(RECIPE, corpus)
    losses = [training.step()["loss"] for _ in range(RECIPE.schedule.steps)]
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    training.export(tmp_path / "rescorer.safetensors", "small", {"words": " ".join(corpus.words)})
    rescorer = Rescorer(tmp_path / "rescorer.safetensors")
    for there, elsewhere in (("morum", "dorum"), ("dorum", "morum")):
        context = f"Long ago kelix lived by the sea and {there} in the hills."
        named, other = rescorer([f"who lived with {there}", f"who lived with {elsewhere}"], context)
        assert named > other + 2


def test_the_command_trains_and_goes_on(corpus, files, monkeypatch):
    monkeypatch.setattr(train_program, "Recipe", lambda: replace(RECIPE, schedule=replace(RECIPE.schedule, steps=6)))
    arguments = ["--corpus", str(files / "corpus.npz"), "--dev", str(files / "dev.json"), "--out", str(files / "run")]
    assert train_program.main([*arguments, "--steps", "3"]) == 0
    assert train_program.main([*arguments, "--steps", "6", "--resume"]) == 0
    log = [json.loads(line) for line in (files / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [3, 6]
    assert log[-1]["measured"].keys() == {"with_passage", "without"}
    assert np.isfinite(Rescorer(files / "run" / "rescorer.safetensors")(["who lived"])).all()


def test_a_file_that_is_no_corpus_is_refused(files, capsys):
    arguments = ["--corpus", str(files / "books.txt"), "--dev", str(files / "dev.json"), "--out", str(files / "run")]
    assert train_program.main(arguments) != 0
    assert "books.txt is no corpus" in capsys.readouterr().err
