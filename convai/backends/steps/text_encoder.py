"""First step of speech synthesis: a sentence becomes the symbols that Tacotron 2 reads."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.checks import check_buckets, check_choice, choose_bucket
from convai.backends.steps.pronunciations import load_pronunciations, pronounce
from convai.errors import InvalidArgument
from convai.text.symbols import NVIDIA_SYMBOLS, PADDING, SYMBOL_IDS, SymbolTable
from convai.text.text_normalizer import is_speakable, normalise_text

PRONUNCIATIONS = ("letters", "arpabet")
MAX_CHARACTERS_PER_SYMBOL = 10  # a longer text does not fit when spelled out, so it is refused before
END_OF_TEXT = "."  # appended unless . ! or ? is there: without it Tacotron 2 may not stop


def symbol_ids(normalised: str, table: SymbolTable = NVIDIA_SYMBOLS) -> list[int]:
    """Symbol ids of a normalised text: one per character, one per phoneme in braces."""
    ids = [*table.before]
    for part in re.split(r"(\{[^{}]*\})", normalised):
        symbols = [f"@{phoneme}" for phoneme in part[1:-1].split()] if part.startswith("{") else part
        ids.extend(table.ids[symbol] for symbol in symbols if symbol in table.ids)
    return [*ids, *table.after]


@dataclass(frozen=True)
class TextEncoder(PythonStep):
    """Sentence -> symbol ids padded to a bucket, and the number of valid ones."""

    buckets: Sequence[int]  # symbols
    pronunciation: str = "letters"  # or "arpabet": words of pronunciations_file become phonemes
    pronunciations_file: str | None = None
    symbols_file: str | None = None  # the symbol table of the network, written by `convai export` of Tacotron 2

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        check_choice("pronunciation", self.pronunciation, PRONUNCIATIONS)
        if self.reads_phonemes and not self.pronunciations_file:
            raise InvalidArgument(
                "pronunciations_file: expected a dictionary like CMUdict, which arpabet needs, got none"
            )
        _ = self.pronunciations  # fails at load if a file is missing or wrong

    @property
    def reads_phonemes(self) -> bool:
        return self.pronunciation == "arpabet" or self.symbols.phonemes

    @cached_property
    def symbols(self) -> SymbolTable:
        if self.symbols_file is None:
            return NVIDIA_SYMBOLS
        try:
            return SymbolTable(**json.loads(Path(self.symbols_file).read_text(encoding="utf-8")))
        except TypeError as error:
            raise InvalidArgument(f"symbols_file: {error}") from error

    @cached_property
    def pronunciations(self) -> Mapping[str, str]:
        if not self.reads_phonemes or self.pronunciations_file is None:
            return {}
        return load_pronunciations(self.pronunciations_file)

    def __call__(self, *, text: str) -> dict[str, Array]:
        """Encode one text.

        Returns
        -------
        symbol_ids : int64, shape = (bucket,), zero from the first invalid symbol on
        symbols_length : int32, shape = (1,), valid symbols
        """
        ids = symbol_ids(self.spell_out(text), self.symbols)
        if len(ids) > self.buckets[-1]:
            raise self._too_long(f"{len(ids)} symbols")
        padded = np.full(choose_bucket("text", len(ids), self.buckets, "symbols"), SYMBOL_IDS[PADDING], np.int64)
        padded[: len(ids)] = ids
        return {"symbol_ids": padded, "symbols_length": np.array([len(ids)], np.int32)}

    def spell_out(self, text: str) -> str:
        """Normalise a text and replace words by phonemes in braces; training prepares its transcripts with it."""
        if len(text) > MAX_CHARACTERS_PER_SYMBOL * self.buckets[-1]:
            raise self._too_long(f"{len(text)} characters")
        normalised = normalise_text(text)
        if not is_speakable(normalised):
            raise InvalidArgument(f"text: expected at least one word, got none in {len(text)} characters")
        if not normalised.endswith((".", "!", "?")):
            normalised += END_OF_TEXT
        return pronounce(normalised, self.pronunciations)

    def _too_long(self, got: str) -> InvalidArgument:
        return InvalidArgument(
            f"text: expected at most {self.buckets[-1]} symbols, got {got}; text_to_speech_stream takes longer texts"
        )
