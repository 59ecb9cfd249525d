import random

import numpy as np
import pytest

from convai.backends.steps.text_encoder import symbol_ids
from training.tacotron2.phonemes import TEACHER_SPELLINGS, arpabet, flapped
from training.tacotron2.synthesize import forgetful_form, last_number
from training.tacotron2.teacher import symbol_ends, teacher_spellings, trimmed
from training.tacotron2.texts import draw_texts


def test_teacher_spellings_become_arpabet():
    assert arpabet("həlˈO") == "HH AH0 L OW1"
    assert arpabet("mˈɜɹdəɹ") == "M ER1 D ER0"
    assert arpabet("ˌʌndəɹstˈænd") == "AH2 N D ER0 S T AE1 N D"


def test_a_word_with_a_sound_that_english_lacks_has_no_arpabet():
    assert arpabet("ʁˈaː") is None
    assert arpabet("") is None


def test_arpabet_read_by_the_teacher_and_written_again_stays_the_same():
    for spelling in TEACHER_SPELLINGS.values():
        symbol = arpabet(spelling)
        assert arpabet(TEACHER_SPELLINGS[symbol]) == symbol


def test_t_is_flapped_between_vowels_but_not_before_a_stressed_one():
    assert flapped("wˈɔtəɹ") == "wˈɔTəɹ"
    assert flapped("ətˈæk") == "ətˈæk"


def test_what_the_teacher_says_is_shared_out_over_our_symbols():
    pairs = teacher_spellings("{HH AY1} bob.", {"bob": "bˈɑb"}.get)
    assert pairs == [(1, "h"), (1, "ˈI"), (1, " "), (3, "bˈɑb"), (1, ".")]
    # Silence before, then one duration per character, then silence after.
    ends = symbol_ends(pairs, np.array([4, 2, 1, 3, 1, 3, 1, 3, 2, 5, 2]))
    np.testing.assert_allclose(np.array(ends) / 0.025, [6, 10, 11, 14, 17, 20, 27])
    assert len(ends) == len(symbol_ids("{HH AY1} bob."))


def test_silence_around_speech_is_cut_and_the_moments_move_with_it():
    audio = np.zeros(22_050, np.float32)
    audio[8_820:13_230] = 0.1  # from 0.4 to 0.6 s
    speech = trimmed(audio, [0.5, 1.0])
    np.testing.assert_allclose(speech.seconds, 0.3, atol=0.001)
    np.testing.assert_allclose(speech.ends, [0.15, speech.seconds], atol=0.001)


def test_silence_alone_is_no_speech():
    with pytest.raises(ValueError, match="silence"):
        trimmed(np.zeros(1_000, np.float32), [0.1])


def test_a_forgotten_word_stays_in_letters():
    forms = {forgetful_form("Hello", {"hello": "HH AH0 L OW1"}, random.Random(seed)) for seed in range(60)}
    assert forms == {"{HH AH0 L OW1}.", "hello."}


def test_a_run_goes_on_after_the_last_clip_of_the_manifest(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    assert last_number(manifest) == -1
    manifest.write_text('{"audio": "000/000000.flac"}\n{"audio": "001/001002.flac"}\n')
    assert last_number(manifest) == 1002


def test_texts_are_drawn_from_every_file_and_none_is_too_long(tmp_path):
    (tmp_path / "short.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "long.txt").write_text("four five\nsix seven eight nine\n")
    files = [tmp_path / "short.txt", tmp_path / "long.txt"]
    drawn = draw_texts(files, 4, 2, random.Random(0))
    assert len(drawn) == 3
    assert "four five" in drawn
    assert "six seven eight nine" not in drawn
