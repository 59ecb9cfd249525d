"""Text normalisation for speech: ASCII, lower case, numbers and abbreviations in full words."""

import re
from collections.abc import Callable
from itertools import pairwise

from anyascii import anyascii

from convai.backends.steps.number_words import spell_out_numbers
from convai.backends.steps.symbols import PHONEMES

ABBREVIATIONS = {  # recognised with a full stop only
    "mrs": "missus", "mr": "mister", "ms": "miz", "dr": "doctor", "drs": "doctors", "prof": "professor",
    "st": "saint", "ft": "fort", "mt": "mount", "rev": "reverend", "hon": "honorable", "esq": "esquire",
    "jr": "junior", "sr": "senior", "gen": "general", "maj": "major", "col": "colonel", "capt": "captain",
    "lt": "lieutenant", "sgt": "sergeant", "cpl": "corporal", "sen": "senator", "gov": "governor",
    "co": "company", "corp": "corporation", "inc": "incorporated", "ltd": "limited", "dept": "department",
    "univ": "university", "approx": "approximately", "vs": "versus", "etc": "et cetera",
    "jan": "january", "feb": "february", "aug": "august", "sept": "september", "oct": "october",
    "nov": "november", "dec": "december",
}  # fmt: skip
PHRASES = {"e.g.": "for example", "i.e.": "that is", "a.m.": "a m", "p.m.": "p m"}
PLAIN = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u2212": "-", "\u2026": ".",
    "½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4",
})  # fmt: skip
UNITS = {  # spoken after a number only
    "km/h": "kilometers per hour", "km": "kilometers", "cm": "centimeters", "mm": "millimeters", "m": "meters",
    "kg": "kilograms", "mg": "milligrams", "mi": "miles", "ft": "feet", "lb": "pounds", "lbs": "pounds",
    "oz": "ounces", "mph": "miles per hour", "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz",
    "°c": "degrees celsius", "°f": "degrees fahrenheit", "°": "degrees",
}  # fmt: skip
NAMED_CHARACTERS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "#": "number", "<": "less than",
    ">": "greater than", "×": "times", "÷": "divided by", "±": "plus or minus", "§": "section",
    "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "©": "copyright", "®": "registered",
    "™": "trademark", "°": "degrees", "²": "squared", "³": "cubed",
}  # fmt: skip

_braces = re.compile(r"(\{[^{}]*\})")
_abbreviation = re.compile(rf"\b({'|'.join(ABBREVIATIONS)})\.(?!\w)", re.IGNORECASE)
_phrase = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, PHRASES))})(?!\w)", re.IGNORECASE)
_unit_names = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_unit = re.compile(rf"(?<=\d)\s?({_unit_names})(?!\w)(?:\.(?= (?-i:[a-z])))?", re.IGNORECASE)
_initials = re.compile(r"\b(?:[A-Za-z]\.){2,}")
_unpronounceable = re.compile(r"\b[B-DF-HJ-NP-TV-XZ]{2,5}\b")  # capitals without a vowel are read letter by letter
_roman = re.compile(r"(?<=[a-z] )(?:X{1,3}(?:IX|IV|V?I{0,3})|IX|IV|VI{0,3}|I{2,3})\b")
_half_of_day = re.compile(r"(?<=\d) ?([ap])(?:\.m\.|\.?m\b)", re.IGNORECASE)
_height = re.compile(r"(?<=\d)'\s?(\d{1,2})\"")
_domain = re.compile(r"(?<=\w)\.(?=[a-z])")
_emoji = re.compile(r":(\w+):")
_dash = re.compile(r" ?[\u2012-\u2015] ?| -+ |--+")
_unspoken = re.compile(r"[^a-z0-9!'(),.:;? -]")
_loose_space = re.compile(r" +(?=[ ,.:;?!)])")
_punctuation = re.compile(r"[,.:;?!](?: ?[,.:;?!])+")


def normalise_text(text: str) -> str:
    """Spell `text` out: only a-z, space and !'(),-.:;? remain, with single spaces and none at the ends.

    Phonemes in braces, such as {HH AW1}, are kept. A normalised text stays as it is. The result may be empty.
    """
    parts = _braces.split(text)
    spelled = "".join(part if is_phonemes(part) else _spell_out(part) for part in parts)
    return _loose_space.sub("", spelled).lstrip(" ,.:;?!)'-").rstrip(" ,:;(-")


def _spell_out(text: str) -> str:
    for rewrite in REWRITES:
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
    text = "".join(str(int(c)) if c.isdecimal() else c for c in text.translate(PLAIN))  # digits of every script
    return re.sub(r"\s+", " ", text)


def _roman_numerals(text: str) -> str:
    # After a word only: elsewhere "IV" or "XI" is more often an abbreviation. A single X or V is rarely a number.
    return _roman.sub(lambda match: str(_roman_value(match[0])) if len(match[0]) > 1 else match[0], text)


def _roman_value(numeral: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in pairwise([*values, 0]))


def _abbreviations(text: str) -> str:
    text = _phrase.sub(lambda match: PHRASES[match[0].lower()], text)
    text = _abbreviation.sub(lambda match: ABBREVIATIONS[match[1].lower()], text)
    text = re.sub(r"\bno\.\s*(?=\d)", "number ", text, flags=re.IGNORECASE)
    text = _initials.sub(lambda match: " ".join(match[0].replace(".", "")), text)
    return _unpronounceable.sub(lambda match: " ".join(match[0]), text)


def _units(text: str) -> str:
    text = _height.sub(r" feet \1 inches", text)
    text = _half_of_day.sub(lambda match: f" {match[1]} m", text)
    return _unit.sub(lambda match: f" {UNITS[match[1].lower()]}", text)


def _named_characters(text: str) -> str:
    return "".join(f" {NAMED_CHARACTERS[c]} " if c in NAMED_CHARACTERS else c for c in text)


def _ascii(text: str) -> str:
    text = _domain.sub(" dot ", _dash.sub(", ", text))
    return _emoji.sub(r" \1 ", anyascii(text))


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", _unspoken.sub(" ", text.lower()))
    text = _punctuation.sub(lambda match: next(mark for mark in "?!.;:," if mark in match[0]), text)
    return re.sub(r"([,.:;?!)])(?=[a-z(])", r"\1 ", text)


# Order matters: capitals carry meaning until the end, and signs such as £ are named before ASCII replaces them.
REWRITES: tuple[Callable[[str], str], ...] = (
    _plain_characters,
    _roman_numerals,
    _units,  # before abbreviations: 6 ft. is not a fort
    _abbreviations,
    spell_out_numbers,
    _named_characters,
    _ascii,
    spell_out_numbers,  # of characters such as ①, which become digits only here
    _named_characters,
    _tidy,
)
