import json

import numpy as np
import pytest

from benchmarks.quality.question_answering import AskedQuestion, mismatch_questions
from benchmarks.tuning.calibration import calibrate, measure
from convai.backends.steps.qa_tokenizer import QaTokenizer
from convai.generator.targets import Buckets

WORDS = "[PAD] [UNK] [CLS] [SEP] who wrote the book play anna bert did in town lived".split()


@pytest.fixture
def tokenizer(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    return QaTokenizer(**Buckets().parameters_of("qa_tokenizer"), vocabulary_file=str(tmp_path / "vocab.txt"))


def name_finder(input_ids, token_type_ids, attention_mask):
    """A BERT that answers with a name if the window has one, and otherwise prefers no answer."""
    logits = np.isin(input_ids, [WORDS.index("anna"), WORDS.index("bert")]).astype(np.float32) * 8
    logits[:, 0] = 2
    return logits, logits


def test_threshold_refuses_the_stated_share_of_answerable_questions():
    rng = np.random.default_rng(0)
    answerable, unanswerable = rng.normal(5, 2, 2000), rng.normal(-3, 2, 2000)
    chosen = calibrate(answerable, unanswerable, np.ones(2000, bool), wrongly_refused=0.05)
    assert chosen.compute_refused_percent(answerable) == pytest.approx(5, abs=0.1)
    assert chosen.compute_refused_percent(unanswerable) > 95


def test_a_mismatched_question_gets_a_context_without_its_answer():
    asked = [AskedQuestion(f"who wrote {i}", f"{name} did", (name,)) for i, name in enumerate(["anna", "bert", "anna"])]
    mismatched = mismatch_questions(asked)
    assert [one.context for one in mismatched] == ["bert did", "anna did", "bert did"]
    assert all(one.accepted == () for one in mismatched)


def test_measuring_a_perfect_reader_gives_full_marks(tokenizer, tmp_path):
    def paragraph(name):
        answers = [{"text": name, "answer_start": 0}]
        return {"context": f"{name} wrote the play", "qas": [{"question": "Who wrote the play?", "answers": answers}]}

    articles = [{"paragraphs": [paragraph("Anna"), paragraph("Bert")]}] * 4
    (tmp_path / "squad.json").write_text(json.dumps({"data": articles}))
    report = measure(tokenizer, name_finder, tmp_path / "squad.json", 8, 0.05)
    assert report["quality"]["written"] == {"exact_match": 100, "f1": 100}
    assert report["questions"] == 8 and report["other_half"]["transcribed"]["wrongly_refused_percent"] == 0
