import re

import numpy as np
import pytest

from convai.backends.steps.phrase_splitter import PhraseSplitter, split_phrases
from convai.errors import InvalidArgument
from convai.text import phrases
from convai.text.text_normalizer import normalise_text

SENTENCE = (
    "The rainforest, which is also known as the Amazon Jungle, covers most of the basin of South America, and it is"
    " larger than all the other forests of that continent taken together by anybody who has ever counted them."
)


def split(text):
    return list(PhraseSplitter()(text=text))


def texts(text, longest_characters=240):
    return [phrase for phrase, _ in split_phrases(text, longest_characters)]


def test_the_phrases_of_a_text_are_its_words_in_order():
    text = f"{SENTENCE} Dr. Smith paid $3.50 at 10:30; nobody (not even he) knew why!\n\nThe end."
    assert " ".join(texts(text)) == " ".join(normalise_text(part) for part in text.split("\n\n"))


def test_phrases_are_as_long_as_long_sentences():
    assert texts("Ada Lovelace, a countess of England.") == ["ada lovelace, a countess of england."]
    lengths = [len(phrase["phrase"]) for phrase in split(" ".join([SENTENCE] * 9))]
    assert 200 < max(lengths) <= 240 + 12
    assert max(len(phrase) for phrase in texts(SENTENCE, longest_characters=100)) <= 100 + 12
    assert min(lengths) >= 12


def test_a_cut_prefers_the_end_of_a_sentence_to_a_comma_and_a_comma_to_a_function_word():
    for text, first in (
        ("It rained on monday. We stayed, of course, where we were until it had stopped.", "it rained on monday."),
        ("If it rained, we stayed where we were until it had stopped at last.", "if it rained,"),
        ("The oldest house stood near the market of that town for many years.", "the oldest house stood near"),
    ):
        assert texts(text, longest_characters=28)[0] == first


def test_an_abbreviation_or_a_decimal_point_ends_no_sentence():
    text = "Dr. Smith measured 3.14 metres of the old wall between the two gardens that day."
    assert texts(text, longest_characters=28)[0] == "doctor smith measured three"


def test_phonemes_in_braces_stay_together():
    for phrase in texts("{HH AH0 L OW1} {W ER1 L D} " * 12):
        assert re.fullmatch(r"(\{[^{}]*\} ?)+", phrase)


def test_a_pause_depends_on_the_punctuation_and_none_follows_the_last_phrase():
    long = "and so they went on for the whole of a very long day without any rest whatsoever"
    text = f"First of all, {long}; {long}. {long} {long}.\n\n{long}"
    assert [pause for _, pause in split_phrases(text, 90)] == [0.15, 0.25, 0.4, 0.0, 0.8, 0.8]
    assert [float(phrase["pause_seconds"][0]) for phrase in split("One.\n\nTwo.")] == [pytest.approx(0.8), 0]


def test_a_break_of_half_a_second_or_more_is_a_silence_of_that_length_and_a_shorter_one_a_comma():
    text = '<speak>One. <break time="1500ms"/>Two <break time="200ms"/> three<break strength="x-strong"/>four</speak>'
    assert list(split_phrases(text)) == [("one.", 1.5), ("two, three", 1.0), ("four", 0.8)]
    assert normalise_text(text) == "one. two, three. four"
    assert list(split_phrases('a<break time="1h"/>b<break time="99s"/>c')) == [("a, b", 10.0), ("c", 0.8)]


def test_only_the_first_phrase_carries_the_findings():
    findings = {"answer_score": np.array([0.5], np.float32), "answer_span": np.array([3, 9], np.int32)}
    first, *others = PhraseSplitter()(
        text=f"{SENTENCE} {SENTENCE}", question="what covers it", answer=SENTENCE, **findings
    )
    assert (first["question"], first["answer"], first["answer_score"][0]) == ("what covers it", SENTENCE, 0.5)
    assert first["answer_span"].tolist() == [3, 9]
    assert others
    for phrase in others:
        assert (phrase["question"], phrase["answer"], phrase["answer_score"][0]) == ("", "", 0)
        assert phrase["answer_span"].tolist() == [-1, -1]


def test_the_first_phrase_of_a_long_text_needs_only_its_beginning(monkeypatch):
    lengths = []
    monkeypatch.setattr(phrases, "spell_out", lambda text: lengths.append(len(text)) or text.lower())
    first = next(PhraseSplitter()(text=SENTENCE * 450))
    assert first["phrase"].startswith("the rainforest,")
    assert sum(lengths) < 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("...", "at least one word, got none in 3 characters"),
        ("\n\n", "at least one word, got none in 2 characters"),
        ("a" * 100_001, "at most 100000 characters, got 100001"),
    ],
)
def test_a_text_without_a_word_or_above_the_limit_is_refused(text, message):
    with pytest.raises(InvalidArgument, match=f"^text: expected {message}"):
        split(text)


def test_phrases_are_numbered_and_text_that_cannot_be_spoken_is_left_out():
    phrases = split("***\n\n...\n\nHello.\n\n- - -\n\nBye.")
    assert [phrase["phrase"] for phrase in phrases] == ["hello.", "bye."]
    assert [phrase["phrase_index"].tolist() for phrase in phrases] == [[0], [1]]
    assert [phrase["is_last_phrase"].tolist() for phrase in phrases] == [[False], [True]]
