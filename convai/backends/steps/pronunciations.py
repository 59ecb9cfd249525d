"""Replaces words by ARPAbet phonemes in braces, with a dictionary in the format of CMUdict."""

import gzip
import re
from collections.abc import Mapping

from convai.errors import InvalidArgument
from convai.text.symbols import PHONEMES

WORD = r"[a-z]+(?:'[a-z]+)*"  # words outside this pattern are not read from a dictionary
LETTER_A = "EY1"  # dictionaries hold the article, which is said otherwise
# Between single letters, as in "a i" or "u s a", it is the letter; "i" before it is more often the pronoun.
_letter_a = re.compile(r"(?<![\w'])a(?= [a-z](?![\w']))|(?<=[\s(][b-hj-z] )a(?![\w'])|(?<=^[b-hj-z] )a(?![\w'])")
_phonemes_or_word = re.compile(rf"\{{[^{{}}]*\}}|{WORD}")
_entry = re.compile(rf"\s*({WORD})(?![^\s#])([^#]*)", re.IGNORECASE)


def load_pronunciations(path: str) -> dict[str, str]:
    """Read lines such as `HELLO  HH AH0 L OW1`, gzipped or not; of several pronunciations the first is kept."""
    pronunciations: dict[str, str] = {}
    known = set(PHONEMES)
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="latin-1") as file:
        for entry in filter(None, map(_entry.match, file)):
            word, phonemes = entry[1].lower(), entry[2].strip()
            if not phonemes or not known.issuperset(phonemes.split()):
                raise InvalidArgument(f"pronunciations_file: expected ARPAbet phonemes for {word!r}, got {phonemes!r}")
            pronunciations.setdefault(word, phonemes)
    return pronunciations


def pronounce(text: str, pronunciations: Mapping[str, str]) -> str:
    """Replace the words of a normalised text by their phonemes; unknown words keep their letters."""

    def replace(match: re.Match[str]) -> str:
        phonemes = pronunciations.get(match[0])
        return f"{{{phonemes}}}" if phonemes else match[0]

    if pronunciations:
        text = _letter_a.sub(f"{{{LETTER_A}}}", text)
    return _phonemes_or_word.sub(replace, text)
