"""Questions with the errors of a speech recogniser: words misspelled, joined, split and dropped."""

import re
from collections.abc import Iterator

import numpy as np

# Spellings that a recogniser without a dictionary confuses.
SOUND_ALIKE = (
    ("ph", "f", "ff"),
    ("ck", "k", "c", "ch"),
    ("s", "ss", "c", "z"),
    ("ee", "ea", "ie", "i", "y"),
    ("ai", "ay", "ei", "a", "e"),
    ("oa", "o", "ow", "ou", "au"),
    ("oo", "u", "ew", "ue"),
    ("er", "or", "ar", "ur", "ir", "a"),
    ("tion", "sion", "shun", "tian"),
    ("th", "t", "d", "f"),
    ("t", "d", "tt"),
    ("b", "p", "v"),
    ("v", "f"),
    ("m", "n", "mm", "nn"),
    ("l", "ll", "r"),
    ("g", "k", "j"),
    ("w", "wh"),
    ("x", "ks", "cs"),
    ("qu", "kw", "cu"),
    ("sh", "ch", "s"),
    ("gh", "f", ""),
    ("h", ""),
    ("e", "a", "i", ""),
    ("n", "ng", "nd"),
)
VOWELS = "aeiou"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHORT_WORD_LETTERS = 3  # words up to this length are frequent ones, which a recogniser seldom misspells


def misrecognise(spoken: str, word_error_rate: float, rng: np.random.Generator) -> str:
    """Misspell, join and split words of a spoken question, as a recogniser does.

    Parameters
    ----------
    spoken : str
        Words of a-z and apostrophes.
    word_error_rate : float
        Probability that a long word changes; a short one changes a third as often.
    """
    words = []
    for word in spoken.split():
        chance = word_error_rate / 3 if len(word) <= SHORT_WORD_LETTERS else word_error_rate
        words.append(misrecognise_word(word, rng) if rng.random() < chance else word)
    return " ".join("".join(join_with_gaps(words)).split())


def join_with_gaps(words: list[str]) -> Iterator[str]:
    """Put a space after each word, except one that ends in `+`, which is joined to the next."""
    for word in words:
        yield word[:-1] if word.endswith("+") else word + " "


def misrecognise_word(word: str, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.70:
        for _ in range(1 + (rng.random() < 0.4)):
            word = respell(word, rng)
        return word
    if kind < 0.85:
        return edit(word, rng)
    if kind < 0.91:
        return word + "+"
    if kind < 0.97 and len(word) > SHORT_WORD_LETTERS + 1:
        cut = rng.integers(2, len(word) - 1)
        return f"{word[:cut]} {word[cut:]}"
    return ""


def respell(word: str, rng: np.random.Generator) -> str:
    """Replace one group of letters by another that sounds alike."""
    places = [
        (place.start(), spelling, group)
        for group in SOUND_ALIKE
        for spelling in group
        if spelling
        for place in re.finditer(spelling, word)
    ]
    if not places:
        return edit(word, rng)
    start, spelling, group = places[rng.integers(len(places))]
    others = [other for other in group if other != spelling]
    return word[:start] + others[rng.integers(len(others))] + word[start + len(spelling) :]


def edit(word: str, rng: np.random.Generator) -> str:
    """Drop, replace or insert one letter."""
    place = int(rng.integers(len(word))) if word else 0
    letter = LETTERS[rng.integers(len(LETTERS))] if rng.random() < 0.4 else VOWELS[rng.integers(len(VOWELS))]
    kind = rng.integers(3)
    if kind == 0 and len(word) > 1:
        return word[:place] + word[place + 1 :]
    return word[:place] + letter + word[place + (kind == 1) :]
