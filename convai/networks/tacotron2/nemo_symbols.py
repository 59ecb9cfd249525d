"""Maps our symbols to those of a NeMo Tacotron 2, whose configuration lists them or names a tokenizer."""

import string
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_options import check_options, check_strings, read_flag, shorten
from convai.text.symbols import CONSONANTS, SYMBOLS, VOWELS, SymbolTable

NEMO_PUNCTUATION = ',.!?-:;/"()[]{}'
REQUIRED_SYMBOLS = {" ", *string.ascii_lowercase}
OPTIONS = ("punct", "apostrophe", "pad_with_space", "add_blank_at", "non_default_punct_list")
PHONEME_OPTIONS = ("g2p", "stresses", "chars", "silence", "oov", "sep")
# The step `text_encoder` does its own preprocessing.
IGNORED = ("text_preprocessing_func",)


def read_symbols(config: Mapping[str, Any]) -> tuple[SymbolTable, int]:
    """Return the table of the file's symbols, and their number, special tokens included."""
    tokenizer = config.get("text_tokenizer")
    if tokenizer is None:
        labels = check_strings("labels", config.get("labels"))
        begin, end, _padding = range(len(labels), len(labels) + 3)
        return make_table(labels, before=(begin,), after=(end,)), len(labels) + 3
    if not isinstance(tokenizer, Mapping):
        raise InvalidArgument(f"text_tokenizer: expected a table of options, got {shorten(tokenizer)}")
    name = str(tokenizer.get("_target_", "")).rpartition(".")[2]
    options = {option: value for option, value in tokenizer.items() if option != "_target_"}
    if name == "EnglishCharsTokenizer":
        check_options("text_tokenizer", options, {}, (*OPTIONS, *IGNORED))
        return read_tokenizer(options, list(string.ascii_lowercase), phonemes=False)
    if name == "EnglishPhonemesTokenizer":
        check_options("text_tokenizer", options, {"space": " "}, (*OPTIONS, *PHONEME_OPTIONS, *IGNORED))
        return read_tokenizer(options, list_phonemes_and_letters(options), phonemes=True)
    raise InvalidArgument(
        "text_tokenizer: expected EnglishCharsTokenizer, EnglishPhonemesTokenizer, or labels, "
        f"got {name or shorten(tokenizer)}"
    )


def list_phonemes_and_letters(options: Mapping[str, Any]) -> list[str]:
    vowels = list(VOWELS)
    if read_flag("text_tokenizer", options, "stresses", default=False):
        vowels = [vowel + stress for vowel, stress in product(VOWELS, "012")]
    g2p = options.get("g2p")
    with_letters = isinstance(g2p, Mapping) and g2p.get("phoneme_probability") is not None
    letters = (
        string.ascii_lowercase if with_letters or read_flag("text_tokenizer", options, "chars", default=False) else ""
    )
    silence = [] if options.get("silence") is None else [str(options["silence"])]
    return [*silence, *CONSONANTS, *vowels, *letters]


def read_tokenizer(options: Mapping[str, Any], middle: list[str], phonemes: bool) -> tuple[SymbolTable, int]:
    """Order the symbols as NeMo does: space, `middle`, apostrophe, punctuation; then padding, blank, unknown."""
    where = "text_tokenizer"
    listed = options.get("non_default_punct_list")
    punctuation = list(NEMO_PUNCTUATION) if listed is None else check_strings(f"{where}.non_default_punct_list", listed)
    symbols = [" ", *middle]
    symbols += ["'"] * read_flag(where, options, "apostrophe", default=True)
    symbols += punctuation * read_flag(where, options, "punct", default=True)
    around = (0,) * read_flag(where, options, "pad_with_space", default=False)
    count = len(symbols) + 2 + (options.get("add_blank_at") is not None)
    return make_table(symbols, before=around, after=around, phonemes=phonemes), count


def make_table(
    symbols: Sequence[str], before: tuple[int, ...], after: tuple[int, ...], phonemes: bool = False
) -> SymbolTable:
    """Map our symbols to numbers. Raises InvalidArgument if a letter or phoneme is missing; punctuation may be."""
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    ours = [symbol for symbol in SYMBOLS if phonemes or not symbol.startswith("@")]
    found = {symbol: number for symbol in ours if (number := find_number(symbol, ids)) is not None}
    missing = [x for x in ours if x not in found and (x in REQUIRED_SYMBOLS or x.startswith("@"))]
    if missing:
        raise InvalidArgument(
            f"symbols: expected all letters, and phonemes if any, got {len(symbols)} without {shorten(missing)}"
        )
    return SymbolTable(found, before, after, phonemes)


def find_number(symbol: str, ids: Mapping[str, int]) -> int | None:
    """Return the file's number of one of our symbols; a phoneme may have another stress there, or none."""
    phoneme = symbol.removeprefix("@")
    names = (phoneme, phoneme.rstrip("012"), f"{phoneme}0") if symbol.startswith("@") else (symbol,)
    return next((ids[name] for name in names if name in ids), None)
