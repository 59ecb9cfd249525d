"""First step of speaking: a sentence becomes the symbols that Tacotron 2 reads."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.buckets import check_buckets, smallest_bucket
from convai.backends.steps.pronunciations import load_pronunciations, pronounce
from convai.backends.steps.symbols import NVIDIA_SYMBOLS, PADDING, PUNCTUATION, SYMBOL_IDS, SymbolTable
from convai.backends.steps.text_normalizer import is_speakable, normalize
from convai.errors import InvalidArgument

PRONUNCIATIONS = ("letters", "arpabet")
MAX_CHARACTERS_PER_SYMBOL = 10  # a longer text cannot fit once spelled out, so it is not worth the try


def symbol_ids(normalized: str, table: SymbolTable = NVIDIA_SYMBOLS) -> list[int]:
    """Symbol ids of a normalised text: one per character, one per phoneme in braces."""
    ids = [*table.before]
    for part in re.split(r"(\{[^{}]*\})", normalized):
        symbols = [f"@{phoneme}" for phoneme in part[1:-1].split()] if part.startswith("{") else part
        ids.extend(table.ids[symbol] for symbol in symbols if symbol in table.ids)
    return [*ids, *table.after]


@dataclass(frozen=True)
class TextEncoder(PythonStep):
    """Sentence -> symbol ids padded to a bucket, and how many are valid."""

    buckets: Sequence[int]  # symbols
    end_of_text: str = "."  # appended unless . ! or ? is there: without it Tacotron 2 may not stop
    pronunciation: str = "letters"  # or "arpabet": words of pronunciations_file become phonemes
    pronunciations_file: str | None = None
    symbols_file: str | None = None  # `convai export` of Tacotron 2 writes it: the symbols that its network reads

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        if not self.end_of_text.endswith((".", "!", "?")) or set(self.end_of_text) - set(PUNCTUATION):
            raise ValueError(
                f"end_of_text: got {self.end_of_text!r}; allowed are characters of {PUNCTUATION!r} ending in . ! or ?"
            )
        if self.pronunciation not in PRONUNCIATIONS:
            raise ValueError(
                f"pronunciation: got {self.pronunciation!r}; allowed are {', '.join(map(repr, PRONUNCIATIONS))}"
            )
        if self.reads_phonemes and not self.pronunciations_file:
            raise ValueError("pronunciations_file: got none; allowed with arpabet is a dictionary like CMUdict")
        _ = self.pronunciations  # a missing or wrong file shall fail at start, not at the first request

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
            raise ValueError(f"symbols_file: {error}") from error

    @cached_property
    def pronunciations(self) -> Mapping[str, str]:
        if not self.reads_phonemes or self.pronunciations_file is None:
            return {}
        return load_pronunciations(self.pronunciations_file)

    def __call__(self, *, text: str) -> dict[str, Array]:
        """Symbols of one text.

        Returns
        -------
        symbol_ids : int64, shape = (bucket,), zero from the first invalid symbol on
        symbols_length : int32, shape = (1,), valid symbols
        """
        ids = symbol_ids(self.spoken(text), self.symbols)
        if len(ids) > self.buckets[-1]:
            raise self._too_long(f"{len(ids)} symbols of text")
        padded = np.full(smallest_bucket(len(ids), self.buckets, "symbols of text"), SYMBOL_IDS[PADDING], np.int64)
        padded[: len(ids)] = ids
        return {"symbol_ids": padded, "symbols_length": np.array([len(ids)], np.int32)}

    def spoken(self, text: str) -> str:
        """The text as it will be read, phonemes in braces; training writes its transcripts this way."""
        if len(text) > MAX_CHARACTERS_PER_SYMBOL * self.buckets[-1]:
            raise self._too_long(f"a text of {len(text)} characters")
        normalized = normalize(text)
        if not is_speakable(normalized):
            raise InvalidArgument(f"got a text of {len(text)} characters without a word; allowed is any other text")
        if not normalized.endswith((".", "!", "?")):
            normalized += self.end_of_text
        return pronounce(normalized, self.pronunciations)

    def _too_long(self, got: str) -> InvalidArgument:
        return InvalidArgument(
            f"got {got}; allowed are at most {self.buckets[-1]} symbols; text_to_speech_stream takes longer texts"
        )
