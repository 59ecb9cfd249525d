"""The symbols that Tacotron 2 reads: 148 in the order of NVIDIA's checkpoints, unless a network has its own table."""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field

PADDING = "_"  # never part of a text
PUNCTUATION = "!'(),.:;? "
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
STRESSES = ("", "0", "1", "2")  # unmarked, none, primary, secondary

PHONEMES = tuple(sorted([vowel + stress for vowel in VOWELS for stress in STRESSES] + list(CONSONANTS)))
CHARACTERS = (PADDING, "-", *PUNCTUATION, *string.ascii_uppercase, *string.ascii_lowercase)
SYMBOLS = (*CHARACTERS, *(f"@{phoneme}" for phoneme in PHONEMES))  # "@" distinguishes the phoneme B from the letter B
SYMBOL_IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}


@dataclass(frozen=True)
class SymbolTable:
    """The symbol ids of one network.

    Attributes
    ----------
    ids : by symbol; symbols that the network lacks are skipped
    before, after : ids around every text
    phonemes : whether the network was trained on phonemes
    """

    ids: Mapping[str, int] = field(default_factory=lambda: dict(SYMBOL_IDS))
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    phonemes: bool = False

    def __str__(self) -> str:
        return f"{len(self.ids)} of {len(SYMBOLS)}"


NVIDIA_SYMBOLS = SymbolTable()
