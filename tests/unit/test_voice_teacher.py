import numpy as np
import pytest

from convai.backends.steps.text_encoder import symbol_ids
from training.tacotron2.teacher import (
    TEACHER_SPELLINGS,
    compute_symbol_ends,
    spell_for_teacher,
    to_arpabet,
    trim_silence,
)


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("həlˈO", "HH AH0 L OW1"),
        ("mˈɜɹdəɹ", "M ER1 D ER0"),
        ("ˌʌndəɹstˈænd", "AH2 N D ER0 S T AE1 N D"),
        ("ʁˈaː", None),
        ("", None),
    ],
)
def test_the_teachers_spelling_becomes_arpabet_unless_english_lacks_a_sound(spelling, expected):
    assert to_arpabet(spelling) == expected


def test_arpabet_read_by_the_teacher_and_written_again_stays_the_same():
    for spelling in TEACHER_SPELLINGS.values():
        symbol = to_arpabet(spelling)
        assert to_arpabet(TEACHER_SPELLINGS[symbol]) == symbol


def test_our_symbols_share_the_time_of_the_teachers_phonemes():
    pairs = spell_for_teacher("{HH AY1} bob.", {"bob": "bˈɑb"}.get)
    assert pairs == [(1, "h"), (1, "ˈI"), (1, " "), (3, "bˈɑb"), (1, ".")]
    # Silence before, then one duration per character, then silence after.
    ends = compute_symbol_ends(pairs, np.array([4, 2, 1, 3, 1, 3, 1, 3, 2, 5, 2]))
    np.testing.assert_allclose(np.array(ends) / 0.025, [6, 10, 11, 14, 17, 20, 27])
    assert len(ends) == len(symbol_ids("{HH AY1} bob."))


def test_silence_around_speech_is_cut_and_the_ends_move_with_it():
    audio = np.zeros(22_050, np.float32)
    audio[8_820:13_230] = 0.1  # from 0.4 to 0.6 s
    speech = trim_silence(audio, [0.5, 1.0])
    np.testing.assert_allclose(speech.seconds, 0.3, atol=0.001)
    np.testing.assert_allclose(speech.ends, [0.15, speech.seconds], atol=0.001)
