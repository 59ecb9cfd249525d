"""Questions as a speech recogniser delivers them: lower case, numbers in words, no punctuation, misheard words."""

import re

import numpy as np

# Spellings that a recogniser without a dictionary writes for one another.
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


def misheard_form(spoken: str, word_error_rate: float, rng: np.random.Generator) -> str:
    """Misspell, join and split words of a spoken question, as an imperfect recogniser does.

    Parameters
    ----------
    spoken : str
        Words of a-z and apostrophes.
    word_error_rate : float
        Chance that a long word changes; a short one changes a third as often.
    """
    words = []
    for word in spoken.split():
        chance = word_error_rate / 3 if len(word) <= SHORT_WORD_LETTERS else word_error_rate
        words.append(misheard_word(word, rng) if rng.random() < chance else word)
    return " ".join("".join(words_with_gaps(words)).split())


def words_with_gaps(words: list[str]):
    """Put a space behind each word; a word that ends in `+` runs into the next one."""
    for word in words:
        yield word[:-1] if word.endswith("+") else word + " "


def misheard_word(word: str, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.70:
        for _ in range(1 + (rng.random() < 0.4)):
            word = respelled(word, rng)
        return word
    if kind < 0.85:
        return edited(word, rng)
    if kind < 0.91:
        return word + "+"
    if kind < 0.97 and len(word) > SHORT_WORD_LETTERS + 1:
        cut = rng.integers(2, len(word) - 1)
        return f"{word[:cut]} {word[cut:]}"
    return ""


def respelled(word: str, rng: np.random.Generator) -> str:
    """Replace one group of letters by another that sounds alike."""
    places = [
        (place.start(), spelling, group)
        for group in SOUND_ALIKE
        for spelling in group
        if spelling
        for place in re.finditer(spelling, word)
    ]
    if not places:
        return edited(word, rng)
    start, spelling, group = places[rng.integers(len(places))]
    others = [other for other in group if other != spelling]
    return word[:start] + others[rng.integers(len(others))] + word[start + len(spelling) :]


def edited(word: str, rng: np.random.Generator) -> str:
    """Drop, replace or insert one letter."""
    place = int(rng.integers(len(word))) if word else 0
    letter = LETTERS[rng.integers(len(LETTERS))] if rng.random() < 0.4 else VOWELS[rng.integers(len(VOWELS))]
    kind = rng.integers(3)
    if kind == 0 and len(word) > 1:
        return word[:place] + word[place + 1 :]
    return word[:place] + letter + word[place + (kind == 1) :]
