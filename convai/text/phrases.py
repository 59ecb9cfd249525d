"""Splits a text into phrases that can be spoken alone: after punctuation, or else before a function word."""

import re
from collections.abc import Iterator
from itertools import chain, pairwise

from convai.text.markup import read_passages
from convai.text.text_normalizer import is_speakable, spell_out

# Characters after which a phrase may end, from the best place to the worst; a bare space is worse than all of them.
SENTENCE_ENDS, CLAUSE_ENDS, COMMAS = ".!?", ";:", ",)"
LINKING_WORDS = frozenset(
    "about after against although and as at because before between but by during for from if in into nor of on or since"
    " so than that then though through to under unless until when where which while who whom whose with without".split()
)
BLOCK_CHARACTERS = 2000  # spelled out at once, so that speech begins before the whole of a long text is spelled out

# Up to the last end of a sentence, else to the last space. A word of four or more letters is rarely an abbreviation.
_block = re.compile(
    rf".{{1,{BLOCK_CHARACTERS}}}(?:(?<=[a-z]{{4}}[.!?])\s+|\Z)|.{{1,{BLOCK_CHARACTERS}}}(?:\s+|\Z)|.{{{BLOCK_CHARACTERS}}}",
    re.DOTALL,
)
_space_or_phonemes = re.compile(r"(?<=(.)) (?=(\S+))|\{[^{}]*\}")


def spell_out_blocks(text: str) -> Iterator[tuple[str, float]]:
    """Spell a text out block by block; yields each speakable block and the silence in seconds that is asked for after
    it, by the end of a paragraph or by SSML.
    """
    for passage in read_passages(text):
        blocks = (spell_out(block[0]) for block in _block.finditer(passage.text))
        for block, following in pairwise(chain(filter(is_speakable, blocks), [""])):
            yield block, 0.0 if following else passage.pause_seconds


def cut_phrases(spelled_out: str, shortest: int, longest: int) -> Iterator[str]:
    """Cut a normalised text into phrases of `shortest` to `longest` characters."""
    rest = spelled_out
    while rest:
        length = find_cut(rest, shortest, longest)
        phrase, rest = rest[:length], rest[length:].lstrip()
        if is_speakable(phrase):
            yield phrase


def find_cut(text: str, shortest: int, limit: int) -> int:
    """Number of characters of the first phrase: up to the best place to cut, of equally good ones the last.

    Neither the phrase nor the rest of its sentence is shorter than `shortest`, if possible.
    """
    if len(text) <= limit + shortest:
        return len(text)
    places = [(match.start(), cut_cost(match[1], match[2])) for match in _space_or_phonemes.finditer(text) if match[1]]
    sentence_end = next((place for place, cost in places if not cost and place >= shortest), len(text))
    good = [
        (cost, -place)
        for place, cost in places
        if shortest <= place <= limit and (not cost or place + shortest <= sentence_end)
    ]
    if good:
        return -min(good)[1]
    return max((place for place, _ in places if place <= limit), default=limit)


def cut_cost(before: str, word: str) -> int:
    """Cost of a cut between a character and a word: 0 after a sentence, 4 in the middle of a clause."""
    for order, ends in enumerate((SENTENCE_ENDS, CLAUSE_ENDS, COMMAS)):
        if before in ends:
            return order
    return 3 if word in LINKING_WORDS else 4
