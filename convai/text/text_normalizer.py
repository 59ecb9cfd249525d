"""Text normalisation for speech: ASCII, lower case, numbers, signs and abbreviations in full words."""

import re
import unicodedata
from collections.abc import Callable

from convai.text.abbreviations import expand_abbreviations, expand_before_numbers, expand_roman_numerals
from convai.text.acronyms import spell_acronyms
from convai.text.date_words import say_dates, say_times
from convai.text.markup import join_passages
from convai.text.money_words import say_money, say_scales
from convai.text.number_words import group_thousands, replace, say_numbers, say_plurals
from convai.text.phone_words import say_telephone_numbers
from convai.text.symbol_words import name_characters, say_symbols, write_ascii
from convai.text.symbols import PHONEMES
from convai.text.unit_words import say_bare_units, say_units
from convai.text.web_words import say_addresses

PLAIN = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u2212": "-", "\u2026": ".", "\u2010": "-", "\u2011": "-", "\u201c": '"',
    "\u201d": '"',
    "\u2126": "Ω", "\u212b": "Å", "\u2103": "°C", "\u2109": "°F", "\u02da": "°", "\u2044": "/",
    "ˢ": "s", "ᵗ": "t", "ʰ": "h", "ᵈ": "d", "ʳ": "r", "\u00ad": "", "\u200b": " ", "\u200d": " ", "\ufe0f": "",
})  # fmt: skip

_en_dash_sign = re.compile(r"(?<![\w)\]%])(?<![\d)\]%] )\u2013(?=\.?[\d$£€])")
_micro = re.compile(r"(?:(?<=\d)|(?<=\d\s))\u03bc(?=[A-Za-z])")
_digit = re.compile(r"\d")
_sentence_end = re.compile(r"(?<=[a-z]{4}[.!?])\s+(?=[A-Z])")
_braces = re.compile(r"(\{[^{}]*\})")
_version = re.compile(r"(?<![\w.])[vV](?=\d+\.\d)")
_leading_dot = re.compile(r"\.(?<!\S\.)(?=[a-z]{2})")  # .env
_domain = re.compile(r"(?<=\w)\.(?=[a-z])")
_dash = re.compile(r" ?[\u2012-\u2015] ?| -+ |--+")
_unspoken = re.compile(r"[^a-z0-9!'(),.:;? -]")
_loose_space = re.compile(r" +(?=[ ,.:;?!)])")
_punctuation = re.compile(r"[,.:;?!](?: ?[,.:;?!])+")


def normalise_text(text: str, *, spells_acronyms: bool = True) -> str:
    """Spell `text` out: only a-z, space and !'(),-.:;? remain, with single spaces and none at the ends.

    Markup is read, as `markup` describes. Phonemes in braces, such as {HH AW1}, are kept. A normalised text stays as it
    is. The result may be empty. Transcripts keep acronyms as words: IBM is `ibm`, not `i b m`.
    """
    return spell_out(join_passages(text), spells_acronyms=spells_acronyms)


def spell_out(plain: str, *, spells_acronyms: bool = True) -> str:
    """Spell a text without markup out."""
    parts = _braces.split(plain)
    spelled = "".join(part if is_phonemes(part) else _spell_out(part, spells_acronyms) for part in parts)
    return _loose_space.sub("", spelled).lstrip(" ,.:;?!)'-").rstrip(" ,:;(-")


def _spell_out(text: str, spells_acronyms: bool) -> str:
    # Sentence by sentence, because only those with a number need the steps that look for numbers.
    return " ".join(_spell_sentence(sentence, spells_acronyms) for sentence in _sentence_end.split(text))


def _spell_sentence(text: str, spells_acronyms: bool) -> str:
    searched, has_digit = "", False
    for rewrite in REWRITES:
        if rewrite is spell_acronyms and not spells_acronyms:
            continue
        if rewrite in OF_NUMBERS and text != searched:
            searched, has_digit = text, _digit.search(text) is not None
        if rewrite not in OF_NUMBERS or has_digit:
            text = rewrite(text)
    return text


def is_phonemes(text: str) -> bool:
    """Whether `text` is a sequence of ARPAbet phonemes in braces."""
    phonemes = text[1:-1].split() if text[:1] == "{" and text[-1:] == "}" else []
    return bool(phonemes) and all(phoneme in PHONEMES for phoneme in phonemes)


def is_speakable(normalised: str) -> bool:
    """Whether a normalised text has a letter; punctuation alone cannot be spoken."""
    return any(character.isalpha() for character in normalised)


def _plain_characters(text: str) -> str:
    if not text.isascii():
        text = "".join(map(_plain_character, group_thousands(text.translate(PLAIN))))
        text = _en_dash_sign.sub("-", text)
        text = _micro.sub("\u00b5", text)
    text = re.sub(r"\s+", " ", text)
    return group_thousands(text) if _digit.search(text) else text


def _plain_character(character: str) -> str:
    """Digits of every script, fractions such as ½, and Roman numerals that are one character."""
    if character.isascii() or not character.isnumeric():
        return character
    if character.isdecimal():
        return str(int(character))
    decomposed = unicodedata.normalize("NFKC", character)
    if "\u2044" in decomposed:
        return " " + decomposed.replace("\u2044", "/")
    return decomposed if unicodedata.name(character).startswith("ROMAN") else character


def _versions(text: str) -> str:
    return replace(_version, lambda _: "version ", text)


def _ascii(text: str) -> str:
    return write_ascii(_domain.sub(" dot ", _leading_dot.sub("dot ", _separate_dashes(text))))


def _separate_dashes(text: str) -> str:
    return text if text.isascii() and "-" not in text else _dash.sub(", ", text)


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", _unspoken.sub(" ", text.lower()))
    text = _separate_dashes(text)  # one that stood against a sign before
    text = _punctuation.sub(lambda match: next(mark for mark in "?!.;:," if mark in match[0]), text)
    return re.sub(r"([,.:;?!)])(?=[a-z(])", r"\1 ", text)


# Order matters: capitals carry meaning until the end, and signs such as £ are named before ASCII replaces them.
REWRITES: tuple[Callable[[str], str], ...] = (
    _plain_characters,
    say_addresses,
    say_symbols,
    expand_roman_numerals,
    _versions,
    say_telephone_numbers,
    say_dates,
    say_times,
    say_money,
    say_plurals,
    say_units,  # before abbreviations: 6 ft. is not a fort
    say_bare_units,
    expand_before_numbers,
    say_scales,
    expand_abbreviations,
    spell_acronyms,
    say_numbers,
    name_characters,
    _ascii,
    say_numbers,  # of characters such as ①, which become digits only here
    name_characters,
    _tidy,
)
# Most texts have no number, and these steps take most of the time.
OF_NUMBERS = frozenset(
    (
        _versions,
        say_telephone_numbers,
        say_times,
        say_money,
        say_plurals,
        say_units,
        expand_before_numbers,
        say_scales,
        say_numbers,
    )
)
