"""Finds our symbols among those of a NeMo Tacotron 2, which its configuration lists or names a tokenizer for."""

import string
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from convai.backends.steps.symbols import CONSONANTS, SYMBOLS, VOWELS, SymbolTable
from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_options import brief, check, flag, texts

NEMO_PUNCTUATION = ',.!?-:;/"()[]{}'
ALWAYS_SPOKEN = {" ", *string.ascii_lowercase}
OPTIONS = ("punct", "apostrophe", "pad_with_space", "add_blank_at", "non_default_punct_list")
PHONEME_OPTIONS = ("g2p", "stresses", "chars", "silence", "oov", "sep")
# It spells texts out as the step `text_encoder` does.
WITHOUT_MEANING = ("text_preprocessing_func",)


def symbols_of(config: Mapping[str, Any]) -> tuple[SymbolTable, int]:
    """The table of the file's symbols, and how many it has, those without a text among them."""
    tokenizer = config.get("text_tokenizer")
    if tokenizer is None:
        labels = texts("labels", config.get("labels"))
        begin, end, _padding = range(len(labels), len(labels) + 3)
        return table(labels, before=(begin,), after=(end,)), len(labels) + 3
    if not isinstance(tokenizer, Mapping):
        raise InvalidArgument(f"text_tokenizer is {brief(tokenizer)}; allowed is a table of options")
    name = str(tokenizer.get("_target_", "")).rpartition(".")[2]
    options = {option: value for option, value in tokenizer.items() if option != "_target_"}
    if name == "EnglishCharsTokenizer":
        check("text_tokenizer", options, {}, (*OPTIONS, *WITHOUT_MEANING))
        return tokenized(options, list(string.ascii_lowercase), phonemes=False)
    if name == "EnglishPhonemesTokenizer":
        check("text_tokenizer", options, {"space": " "}, (*OPTIONS, *PHONEME_OPTIONS, *WITHOUT_MEANING))
        return tokenized(options, phonemes_and_letters(options), phonemes=True)
    raise InvalidArgument(
        f"text_tokenizer is {name or brief(tokenizer)}; "
        "allowed are EnglishCharsTokenizer, EnglishPhonemesTokenizer, or labels"
    )


def phonemes_and_letters(options: Mapping[str, Any]) -> list[str]:
    vowels = list(VOWELS)
    if flag("text_tokenizer", options, "stresses", default=False):
        vowels = [vowel + stress for vowel, stress in product(VOWELS, "012")]
    g2p = options.get("g2p")
    with_letters = isinstance(g2p, Mapping) and g2p.get("phoneme_probability") is not None
    letters = string.ascii_lowercase if with_letters or flag("text_tokenizer", options, "chars", default=False) else ""
    silence = [] if options.get("silence") is None else [str(options["silence"])]
    return [*silence, *CONSONANTS, *vowels, *letters]


def tokenized(options: Mapping[str, Any], middle: list[str], phonemes: bool) -> tuple[SymbolTable, int]:
    """Space, what is spoken, apostrophe, punctuation; then padding, perhaps a blank, and the unknown."""
    where = "text_tokenizer"
    listed = options.get("non_default_punct_list")
    punctuation = list(NEMO_PUNCTUATION) if listed is None else texts(f"{where}.non_default_punct_list", listed)
    symbols = [" ", *middle]
    symbols += ["'"] * flag(where, options, "apostrophe", default=True)
    symbols += punctuation * flag(where, options, "punct", default=True)
    around = (0,) * flag(where, options, "pad_with_space", default=False)
    count = len(symbols) + 2 + (options.get("add_blank_at") is not None)
    return table(symbols, before=around, after=around, phonemes=phonemes), count


def table(
    symbols: Sequence[str], before: tuple[int, ...], after: tuple[int, ...], phonemes: bool = False
) -> SymbolTable:
    """Raises InvalidArgument if a letter or phoneme is missing; punctuation that is missing is skipped while serving."""
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    ours = [symbol for symbol in SYMBOLS if phonemes or not symbol.startswith("@")]
    found = {symbol: number for symbol in ours if (number := number_of(symbol, ids)) is not None}
    missing = [x for x in ours if x not in found and (x in ALWAYS_SPOKEN or x.startswith("@"))]
    if missing:
        raise InvalidArgument(f"its {len(symbols)} symbols lack {brief(missing)}, which texts are spelled with here")
    return SymbolTable(found, before, after, phonemes)


def number_of(symbol: str, ids: Mapping[str, int]) -> int | None:
    """The file's number of one of our symbols; a phoneme may be without its stress, or with one that ours lacks."""
    phoneme = symbol.removeprefix("@")
    names = (phoneme, phoneme.rstrip("012"), f"{phoneme}0") if symbol.startswith("@") else (symbol,)
    return next((ids[name] for name in names if name in ids), None)
