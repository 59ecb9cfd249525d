import gzip
import json

import pytest

from convai.backends.steps.transcripts import speakable, transcript
from training.language_model.sentences import read_sentences
from training.voices.voices import speak


def test_numbers_and_abbreviations_are_spelled_out_before_a_voice_reads_them():
    assert transcript(speakable("Who met Dr. Ōe (in 1905)?")) == "who met doctor oe in nineteen oh five"


def test_a_transcript_keeps_apostrophes_inside_words_only():
    assert transcript("'Tis the dogs' owner's well-known \"rock\"") == "tis the dogs owner's well known rock"


def test_what_cannot_be_spoken_is_empty():
    assert speakable("...?!") == ""


def test_sentences_come_from_lines_or_from_the_questions_of_a_squad_file(tmp_path):
    (tmp_path / "lines.txt").write_text("One.\n\nTwo.\n")
    squad = {"data": [{"paragraphs": [{"qas": [{"question": " Who? "}, {"question": "Why?"}]}]}]}
    with gzip.open(tmp_path / "dev-v1.1.json.gz", "wt") as stream:
        json.dump(squad, stream)
    assert read_sentences(tmp_path / "lines.txt") == ["One.", "Two."]
    assert read_sentences(tmp_path / "dev-v1.1.json.gz") == ["Who?", "Why?"]


def test_an_unknown_engine_is_named_with_the_known_ones():
    with pytest.raises(
        ValueError, match="voice 'siri:one' is unknown; allowed is engine:voice with one of crowd, flite"
    ):
        speak("siri:one", "hello")
