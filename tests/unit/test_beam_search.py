"""Beam search: a language model corrects the sound, keeps unknown words, and is biased by a context."""

import numpy as np
import pytest
from support.sounds import misheard, sound

from convai.backends.steps.beam_search import CONTEXT_WORD
from convai.backends.steps.ctc_decoder import CtcDecoder
from convai.errors import InvalidArgument
from training.language_model.language_model import penalise_letters, spell_rare_words, write
from training.language_model.ngrams import estimate

SENTENCES = [
    "who wrote the book",
    "who wrote the song",
    "where is the book",
    "the king",
    "the quick brown fox jumps over a lazy dog",
]
ABOUT_A_TEXT = [f"who wrote {CONTEXT_WORD}", f"where is {CONTEXT_WORD}"]
VOCABULARY = {"who", "wrote", "the", "book", "song", "where", "is", "king", CONTEXT_WORD}


@pytest.fixture(scope="module")
def language_model_file(tmp_path_factory):
    sentences = [spell_rare_words(sentence.split(), VOCABULARY) for sentence in SENTENCES * 3 + ABOUT_A_TEXT * 3]
    arpa_file = tmp_path_factory.mktemp("language_model") / "five_sentences.arpa.gz"
    write(penalise_letters(estimate(sentences, [1, 1, 1]), 0.3), arpa_file)
    return str(arpa_file)


@pytest.fixture(scope="module")
def decoder(language_model_file):
    return CtcDecoder(decoder="beam_search", language_model_file=language_model_file, word_insertion_bonus=0.5)


def decode(decoder, log_probs, length=None, context=""):
    length = np.array([len(log_probs) if length is None else length], np.int32)
    return decoder(log_probs=log_probs, log_probs_length=length, context=context)["question"]


def test_a_misheard_letter_is_corrected(decoder):
    path = "who w_rote the b_o_ok"
    log_probs = misheard(path.replace("b_o_ok", "b_u_uk").replace("rote", "rode"), said=path)
    assert decode(CtcDecoder(), log_probs) == "who wrode the buuk"
    assert decode(decoder, log_probs) == "who wrote the book"


def test_context_decides_between_words_that_sound_alike(decoder):
    assert decode(decoder, sound("who wrote the bong", [(14, "s")])) == "who wrote the song"
    assert decode(decoder, sound("where is the song", [(13, "b")])) == "where is the song"


@pytest.mark.parametrize("pause", ["_", "__", "_" * 50])
def test_pauses_of_any_length_separate_letters_and_end_no_word(decoder, pause):
    assert decode(decoder, sound(f"{pause}the{pause} bo{pause}ok{pause}")) == "the book"


@pytest.mark.parametrize(
    ("penalty", "log_probs", "without"),
    [
        ("blank_penalty", sound("the b_o_o_", [(9, "k")]), "the boo"),
        ("space_penalty", sound("the k i_ng", [(5, "_")]), "the k ing"),
    ],
)
def test_a_penalty_undoes_a_narrow_lead_of_blank_or_space(language_model_file, penalty, log_probs, without):
    by_sound_alone = {"language_model_weight": 0.0, "word_insertion_bonus": 0.0}
    options = {"decoder": "beam_search", "language_model_file": language_model_file, **by_sound_alone}
    assert decode(CtcDecoder(**options), log_probs) == without
    assert decode(CtcDecoder(**options, **{penalty: 1.0}), log_probs) in {"the book", "the king"}


def test_a_word_of_the_context_is_biased(decoder):
    log_probs = misheard("where is gublai", "where is kublai")
    assert decode(decoder, log_probs, context="The throne of Kublai (born 1215).") == "where is kublai"
    assert decode(decoder, log_probs, context="Nothing of the sort.") == "where is gublai"


def test_a_context_is_spelled_out(decoder):
    log_probs = misheard("who wrote foor_ty two", "who wrote for__ty two")
    assert decode(decoder, log_probs, context="Chapter 42") == "who wrote forty two"


def test_a_context_is_forgotten_after_its_question(decoder):
    log_probs = misheard("where is gublai", "where is kublai")
    before = decode(decoder, log_probs)
    contexts = [f"Kublai, number {number}" for number in range(6)]
    assert {decode(decoder, log_probs, context=context) for context in contexts * 2} == {"where is kublai"}
    assert decode(decoder, log_probs, context="Genghis") == decode(decoder, log_probs) == before


@pytest.mark.parametrize("context", ["", " ", "42" * 9000, "!?", "a" * 32_768, "Kublai " * 4681, "x\x00\ufffd"])
def test_a_context_may_be_any_text_within_its_limit(decoder, context):
    assert decode(decoder, sound("who wrote the b_o_ok"), context=context) == "who wrote the book"


def test_log_probs_may_be_infinite(decoder):
    log_probs = sound("the king")
    log_probs[log_probs < -5] = -np.inf
    assert decode(decoder, log_probs) == "the king"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("words\n", "expected an ARPA file, got .*wrong.arpa"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1\tcafé\n\n\\end\\\n", "got 'café' with 'é'"),
        ("\\data\\\nngram 1=9\n\n\\1-grams:\n-1\tthe\n\n\\end\\\n", "KenLM cannot read"),
    ],
)
def test_a_wrong_language_model_is_refused(tmp_path, content, message):
    (tmp_path / "wrong.arpa").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidArgument, match=message):
        CtcDecoder(decoder="beam_search", language_model_file=str(tmp_path / "wrong.arpa"))
    with pytest.raises(FileNotFoundError):
        CtcDecoder(decoder="beam_search", language_model_file=str(tmp_path / "none.arpa"))


@pytest.mark.parametrize(
    "wrong",
    [{"beam_width": 0}, {"word_insertion_bonus": float("nan")}, {"blank_penalty": -1}],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgument, match=f"^{next(iter(wrong))}: expected"):
        CtcDecoder(**wrong)
