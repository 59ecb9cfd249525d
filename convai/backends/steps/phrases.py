"""Where a text may be cut so that each piece can be spoken alone: after punctuation, or else before a small word."""

import re
from collections.abc import Iterator
from itertools import chain, pairwise

from convai.backends.steps.text_normalizer import is_speakable, normalize

# What ends before a place to cut, from the best place to the worst; a bare space follows them all.
SENTENCE_ENDS, CLAUSE_ENDS, COMMAS = ".!?", ";:", ",)"
LINKING_WORDS = frozenset(
    "about after against although and as at because before between but by during for from if in into nor of on or since"
    " so than that then though through to under unless until when where which while who whom whose with without".split()
)
BLOCK_CHARACTERS = 2000  # spelled out at once; a long text is not read to its end before its first word is spoken

_paragraph_end = re.compile(r"\s*\n\s*\n\s*")
# Up to the last end of a sentence, which follows a word that is no abbreviation as a rule, else to the last space.
_block = re.compile(
    rf".{{1,{BLOCK_CHARACTERS}}}(?:(?<=[a-z]{{4}}[.!?])\s+|\Z)|.{{1,{BLOCK_CHARACTERS}}}(?:\s+|\Z)|.{{{BLOCK_CHARACTERS}}}",
    re.DOTALL,
)
_space_or_phonemes = re.compile(r"(?<=(.)) (?=(\S+))|\{[^{}]*\}")


def spoken_blocks(text: str) -> Iterator[tuple[str, bool]]:
    """`text` spelled out by and by: pieces that can be spoken, and for each whether a paragraph ends with it."""
    for paragraph in _paragraph_end.split(text):
        spoken = (normalize(block[0]) for block in _block.finditer(paragraph))
        for block, following in pairwise(chain(filter(is_speakable, spoken), [""])):
            yield block, not following


def cut(spoken: str, shortest: int, longest: int) -> Iterator[str]:
    """Cut what is spelled out into phrases of so many characters."""
    rest = spoken
    while rest:
        length = phrase_length(rest, shortest, longest)
        phrase, rest = rest[:length], rest[length:].lstrip()
        if is_speakable(phrase):
            yield phrase


def phrase_length(text: str, shortest: int, limit: int) -> int:
    """How many characters of `text` make its first phrase: up to the best place to cut, of several the last.

    Neither the phrase nor what it leaves of its sentence is shorter than `shortest`, if that can be.
    """
    if len(text) <= limit + shortest:
        return len(text)
    places = [(match.start(), badness(match[1], match[2])) for match in _space_or_phonemes.finditer(text) if match[1]]
    sentence_end = next((place for place, badness in places if not badness and place >= shortest), len(text))
    good = [
        (badness, -place)
        for place, badness in places
        if shortest <= place <= limit and (not badness or place + shortest <= sentence_end)
    ]
    if good:
        return -min(good)[1]
    return max((place for place, _ in places if place <= limit), default=limit)


def badness(before: str, word: str) -> int:
    """How bad it is to cut between a character and a word: 0 after a sentence, 4 where nothing suggests it."""
    for order, ends in enumerate((SENTENCE_ENDS, CLAUSE_ENDS, COMMAS)):
        if before in ends:
            return order
    return 3 if word in LINKING_WORDS else 4
