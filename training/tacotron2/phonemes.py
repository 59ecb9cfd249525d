"""Converts between the teacher's phonemes (one character each, misaki's alphabet) and ARPAbet.

Both distinguish the same sounds, except the flap in `water`, which ARPAbet writes T; `flap` restores it.
"""

import re

from convai.backends.steps.symbols import STRESSES

VOWELS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ",
    "EY": "A", "IH": "ɪ", "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u",
}  # fmt: skip
CONSONANTS = {
    "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m",
    "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j",
    "Z": "z", "ZH": "ʒ",
}  # fmt: skip
REDUCED = {"AH0": "ə", "AH": "ᵊ", "IH": "ᵻ", "ER0": "əɹ"}  # vowels that the teacher distinguishes from their full forms
OTHER_SPELLINGS = {"ɐ": "AH0", "T": "T", "ˈə": "AH1", "ˌə": "AH2", "ˈəɹ": "ER1", "ˌəɹ": "ER2"}
STRESS_MARKS = dict(zip(STRESSES, ("", "", "ˈ", "ˌ"), strict=True))

TEACHER_SPELLINGS = (
    {vowel + stress: mark + sound for vowel, sound in VOWELS.items() for stress, mark in STRESS_MARKS.items()}
    | CONSONANTS
    | REDUCED
)
_arpabet_symbols = (
    {mark + sound: vowel + (stress or "0") for vowel, sound in VOWELS.items() for stress, mark in STRESS_MARKS.items()}
    | {sound: vowel + "0" for vowel, sound in VOWELS.items()}
    | {sound: consonant for consonant, sound in CONSONANTS.items()}
    | {sound: vowel for vowel, sound in REDUCED.items()}
    | OTHER_SPELLINGS
)
_sound = re.compile("|".join(sorted(map(re.escape, _arpabet_symbols), key=len, reverse=True)))
_flapped = re.compile("(?<=[AIOWYiuæɑɔəɛɪɹʊʌ])t(?=[AIOWYiuæɑəɛɜɪʊʌᵊᵻ])")


def to_arpabet(teacher_word: str) -> str | None:
    """Convert a word of the teacher's phonemes, such as to "HH AH0 L OW1"; None if it has a sound English lacks."""
    if not teacher_word or _sound.sub("", teacher_word):
        return None
    return " ".join(_arpabet_symbols[sound] for sound in _sound.findall(teacher_word))


def flap(teacher_text: str) -> str:
    """Flap each t between a vowel and an unstressed one, as Americans do; the number of characters stays."""
    return _flapped.sub("T", teacher_text)
