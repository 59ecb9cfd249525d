"""Sentences of letters, digits and dates, such as spelled names and codes, which written texts lack."""

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

import numpy as np

from convai.backends.steps.transcripts import spoken_form

DIGITS = "zero one two three four five six seven eight nine".split()
MONTHS = "January February March April May June July August September October November December".split()
MOST_SYMBOLS = 9


def make_spelled_sentences(words: Sequence[str], count: int, seed: int = 0) -> Iterator[list[str]]:
    """Spelled words, digits, letters mixed with digits, numbers and dates, 20 % each."""
    rng = np.random.default_rng(seed)

    def digits(length: int) -> list[str]:
        oh = rng.random() < 0.3
        return ["oh" if oh and digit == 0 else DIGITS[digit] for digit in rng.integers(0, 10, length)]

    for _ in range(count):
        kind, length = rng.integers(5), int(rng.integers(1, MOST_SYMBOLS + 1))
        if kind == 0:
            word = words[rng.integers(len(words))].replace("'", "")
            yield [word, *word] if rng.random() < 0.2 else list(word)
        elif kind == 1:
            yield digits(length)
        elif kind == 2:
            yield [ascii_lowercase[rng.integers(26)] if rng.random() < 0.6 else digits(1)[0] for _ in range(length)]
        elif kind == 3:
            yield spoken_form(str(int(10 ** rng.uniform(0, 6)))).split()
        else:
            date = f"{MONTHS[rng.integers(12)]} {rng.integers(1, 32)}"
            yield spoken_form(f"{date}, {rng.integers(1900, 2026)}" if rng.random() < 0.5 else date).split()
