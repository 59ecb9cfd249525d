import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.quality.question_answering import AskedQuestion, answer_question
from convai.backends.steps.qa_tokenizer import QaTokenizer
from convai.generator.targets import Buckets
from convai.networks.bert.model import CONFIGS, Bert
from convai.networks.checkpoints.compact import load

ROOT = Path(__file__).parent.parent.parent
RESCORER = ROOT / "model_repository/ctc_decoder/1/english_rescorer.safetensors"
LANGUAGE_MODEL = RESCORER.with_name("english_trigrams.arpa.gz")
WEIGHTS = [*sorted((ROOT / "weights").glob("*.safetensors")), RESCORER]
LARGEST_TOTAL_BYTES = 75e6
CONTEXT = (
    "Ada Lovelace, born in London in 1815, wrote the first published program for a machine. "
    "Charles Babbage had designed that machine, the Analytical Engine, but it was never built."
)


@pytest.fixture(scope="module")
def answer():
    """Answers a question about Ada Lovelace with the default BERT: text and log odds."""
    torch.set_num_threads(1)
    network = Bert(CONFIGS["mini"]).eval()
    network.load_state_dict(load(ROOT / "weights/bert.safetensors"))
    vocabulary_file = str(ROOT / "model_repository/qa_tokenizer/1/vocab.txt")
    tokenizer = QaTokenizer(**Buckets().parameters_of("qa_tokenizer"), vocabulary_file=vocabulary_file)

    @torch.inference_mode()
    def run(*windows: np.ndarray):
        return [logits[0].numpy() for logits in network(*(torch.from_numpy(array)[None] for array in windows))]

    return lambda question: answer_question(tokenizer, run, AskedQuestion(question, CONTEXT, ()))


@pytest.mark.parametrize("file", WEIGHTS, ids=lambda file: file.stem)
def test_a_card_lies_beside_the_weights_and_names_their_sha256(file):
    assert hashlib.sha256(file.read_bytes()).hexdigest() in file.with_suffix(".md").read_text()


def test_all_default_weights_together_stay_small():
    assert sum(file.stat().st_size for file in [*WEIGHTS, LANGUAGE_MODEL]) <= LARGEST_TOTAL_BYTES


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where was Ada Lovelace born?", "London"),
        ("where was ada lovelace born", "London"),
        ("who designed the analytical engine", "Charles Babbage"),
        ("when was ada lovelase bon", "1815"),
    ],
)
def test_bert_answers_written_spoken_and_misheard_questions(answer, question, expected):
    assert answer(question).answer == expected


def test_bert_doubts_an_answer_that_the_context_does_not_hold(answer):
    assert answer("how many people live in paris").log_odds < answer("where was ada lovelace born").log_odds - 5
