"""The rescorer: NumPy computes what the network computes in PyTorch, and the text with the best sum wins."""

import numpy as np
import pytest
import torch
from support.sounds import misheard

from convai.backends.steps.beam_search import BeamSearch
from convai.backends.steps.ctc_decoder import CtcDecoder
from convai.backends.steps.rescorer import Rescorer, Vocabulary
from convai.description.pipeline import LABELS
from convai.errors import InvalidArgument
from convai.networks.checkpoints.quantised import save
from training.language_model.language_model import spell_rare_words, write
from training.language_model.ngrams import estimate
from training.rescorer.batches import RescorerBatches, RescorerRecipe
from training.rescorer.corpus import build_corpus
from training.rescorer.model import Rescorer as Network
from training.rescorer.model import RescorerConfig

WORDS = [f"{letter}{number}" for number in ("one", "two", "three") for letter in "abcdefghij"]
SMALL = RescorerConfig(vocabulary=32, frequent=8, common=20, buckets=5, width=16, cells=24, tail_widths=(8, 4))
PASSAGE = "Aone atwo kublai bone, cthree! Nowhere kublai ione"
HYPOTHESES = ["aone bone cone", "aone bone", "kublai ione", "jthree unheard kublai", "", "aone bone cone"]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = Network(SMALL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.4)
    return network


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    file = tmp_path_factory.mktemp("rescorer") / "rescorer.safetensors"
    save(file, network.state_dict(), metadata={"words": " ".join(WORDS)})
    return file


@pytest.fixture(scope="module")
def rescorer(file):
    return Rescorer(file)


def by_network(network, hypotheses, passage):
    """The same log-probabilities from the network, for whole sentences instead of a tree of prefixes."""
    asked = [(passage.lower().replace(",", "").replace("!", "").split(), [text.split() for text in hypotheses])]
    corpus = build_corpus(Vocabulary(WORDS, SMALL.buckets), asked, asked[0][1])
    batches = RescorerBatches(corpus, RescorerRecipe(config=SMALL))
    batch = batches.show_passages([0]) if passage else batches.show_texts(corpus.sentences, range(len(hypotheses)))
    log_probs = torch.zeros(batch.targets.shape)
    with torch.inference_mode():
        log_probs[batch.targets >= 0] = network(batch)
    return log_probs.sum(dim=1).numpy()


@pytest.mark.parametrize("passage", ["", PASSAGE])
def test_it_computes_what_the_network_does_but_for_fp16_in_the_file(network, rescorer, passage):
    expected = by_network(network, HYPOTHESES, passage)
    np.testing.assert_allclose(rescorer(HYPOTHESES, passage), expected, atol=0.05)


def test_a_score_does_not_depend_on_other_hypotheses(rescorer):
    batched = rescorer(HYPOTHESES, PASSAGE)
    np.testing.assert_allclose(batched, [rescorer([text], PASSAGE)[0] for text in HYPOTHESES], atol=1e-4)
    assert batched[0] == batched[-1]


@pytest.mark.parametrize("context", ["", " ", "!?", "42" * 9000, "a" * 32_768, "kublai " * 4682, "x\x00\ufffd"])
def test_a_context_may_be_any_text(rescorer, context):
    assert np.isfinite(rescorer(["aone", ""], context)).all()


@pytest.mark.parametrize("content", [b"", b"words", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_wrong_file_is_refused(tmp_path, content):
    (tmp_path / "wrong").write_bytes(content)
    with pytest.raises(InvalidArgument, match=r"^rescorer_file: expected a file that .*, got .*wrong"):
        Rescorer(tmp_path / "wrong")


SENTENCES = ["who wrote the book", "who wrote the song", "where is the book", "the king"]


@pytest.fixture(scope="module")
def language_model_file(tmp_path_factory):
    vocabulary = {"who", "wrote", "the", "book", "song", "where", "is", "king"}
    file = tmp_path_factory.mktemp("language_model") / "four_sentences.arpa.gz"
    write(estimate([spell_rare_words(sentence.split(), vocabulary) for sentence in SENTENCES], [1, 1]), file)
    return str(file)


def decode(language_model_file, log_probs, **options):
    decoder = CtcDecoder(decoder="beam_search", language_model_file=language_model_file, **options)
    return decoder(log_probs=log_probs, log_probs_length=np.array([len(log_probs)], np.int32), context=PASSAGE)


@pytest.mark.parametrize("weight", [0.0, 0.3, 3.0])
def test_the_text_with_the_best_sum_wins(language_model_file, file, rescorer, weight):
    log_probs = misheard("who wrote the bo_ok", said="who wrote the sonng")
    options = {"beam_width": 50, "language_model_weight": 0.1}
    scores = BeamSearch(LABELS, language_model_file, word_score=0.0, **options)(log_probs, PASSAGE, count=2)
    assert list(scores) == ["who wrote the book", "who wrote the song"]
    sums = np.array(list(scores.values())) + weight * rescorer(list(scores), PASSAGE)
    options |= {"rescorer_file": str(file), "rescorer_weight": weight, "nbest": 2, "word_insertion_bonus": 0.0}
    assert decode(language_model_file, log_probs, **options)["question"] == list(scores)[sums.argmax()]


@pytest.mark.parametrize("wrong", [{"decoder": "greedy"}, {"nbest": 0}, {"rescorer_weight": -1}])
def test_parameters_that_do_not_fit_are_refused(language_model_file, file, wrong):
    options = {"decoder": "beam_search", "language_model_file": language_model_file, "rescorer_file": str(file)}
    with pytest.raises(InvalidArgument, match="(rescorer_.*|nbest): expected"):
        CtcDecoder(**options | wrong)
