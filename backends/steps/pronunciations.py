"""Pronunciations from a dictionary in the format of CMUdict: words become ARPAbet phonemes in braces."""

import gzip
import re
from collections.abc import Mapping

from convai.backends.steps.symbols import PHONEMES
from convai.pipeline.mistakes import CallerMistake

_word = re.compile(r"[a-z]+(?:'[a-z]+)*")
_phonemes_or_word = re.compile(rf"\{{[^{{}}]*\}}|{_word.pattern}")


def load_pronunciations(path: str) -> dict[str, str]:
    """Read lines such as `HELLO  HH AH0 L OW1`, gzipped or not; of several pronunciations the first counts."""
    pronunciations = {}
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="latin-1") as file:
        for line in file:
            word, _, phonemes = line.partition("#")[0].strip().partition(" ")
            if _word.fullmatch(word.lower()):
                pronunciations.setdefault(word.lower(), _checked(phonemes, word))
    return pronunciations


def _checked(phonemes: str, word: str) -> str:
    unknown = set(phonemes.split()) - set(PHONEMES)
    if unknown or not phonemes.strip():
        raise CallerMistake(f"pronunciations_file: got {phonemes.strip()!r} for {word!r}; allowed are ARPAbet phonemes")
    return " ".join(phonemes.split())


def pronounce(text: str, pronunciations: Mapping[str, str]) -> str:
    """Replace the words of a normalised text by their phonemes; unknown words keep their letters."""

    def replace(match: re.Match[str]) -> str:
        phonemes = pronunciations.get(match[0])
        return f"{{{phonemes}}}" if phonemes else match[0]

    return _phonemes_or_word.sub(replace, text)
