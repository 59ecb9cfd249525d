"""Estimates an n-gram language model from sentences: modified Kneser-Ney smoothing, written in the ARPA format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TextIO

import numpy as np

from convai.errors import InvalidArgument

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # ARPA's log10 of zero
FALLBACK_DISCOUNTS = np.array([0.0, 0.5, 1.0, 1.5])  # for texts too short to estimate them from


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted by key: the word ids as the digits of a number, the last word lowest.

    Attributes
    ----------
    keys : int64, shape = (n-grams,)
    log_probs, log_backoffs : float64, shape = (n-grams,), to the base 10
    """

    keys: np.ndarray
    log_probs: np.ndarray
    log_backoffs: np.ndarray


@dataclass(frozen=True)
class NgramModel:
    """`levels[0]` holds the unigrams, one per word of `words`, in their order."""

    words: Sequence[str]
    levels: Sequence[Level]

    def write_arpa(self, stream: TextIO) -> None:
        stream.write("\\data\\\n")
        for order, level in enumerate(self.levels, start=1):
            stream.write(f"ngram {order}={len(level.keys) + (order == 1)}\n")
        for order, level in enumerate(self.levels, start=1):
            stream.write(f"\n\\{order}-grams:\n")
            if order == 1:
                stream.write(f"{NEVER:g}\t{UNKNOWN}\n")  # readers of the format expect it
            for key, log_prob, log_backoff in zip(level.keys, level.log_probs, level.log_backoffs, strict=True):
                ngram = " ".join(self.words[word] for word in word_ids(int(key), order, len(self.words)))
                stream.write(f"{log_prob:.2f}\t{ngram}" + (f"\t{log_backoff:.2f}\n" if log_backoff else "\n"))
        stream.write("\n\\end\\\n")


def word_ids(key: int, order: int, base: int) -> list[int]:
    """The words of the n-gram that a key stands for."""
    return [key // base**place % base for place in reversed(range(order))]


def estimate(
    sentences: Iterable[Sequence[str]], min_counts: Sequence[int], other_words: Iterable[str] = ()
) -> NgramModel:
    """Estimate a model that holds the n-grams of each order seen at least `min_counts[order - 1]` times.

    It knows the words of the sentences, and `other_words` as if each might follow any other.

    What is left out is reached by backing off, and every distribution still sums to one. Words are never left out,
    so the first of `min_counts` is 1; the others may not fall, or an n-gram could lose the shorter ones it stands on.
    """
    if min_counts[0] != 1 or any(low > high for low, high in pairwise(min_counts)):
        raise InvalidArgument(
            f"min_counts: got {list(min_counts)}; allowed are counts that begin with 1 and never fall"
        )
    marked = [[BEGIN, *sentence, END] for sentence in sentences]
    words = [BEGIN, END, *sorted({word for sentence in marked for word in sentence}.union(other_words) - {BEGIN, END})]
    base, max_order = len(words), len(min_counts)
    if base**max_order > np.iinfo(np.int64).max:
        raise InvalidArgument(f"got {base} words; too many for n-grams of {max_order}")
    ids = {word: index for index, word in enumerate(words)}
    stream = np.array([ids[word] for sentence in marked for word in sentence], np.int64)
    return NgramModel(words, smooth(count_ngrams(stream, base, max_order), base, min_counts))


def count_ngrams(stream: np.ndarray, base: int, max_order: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sorted keys and counts of each order; no n-gram reaches across the beginning of a sentence.

    Parameters
    ----------
    stream : int64, shape = (words,), all sentences one after the other, each beginning with 0
    """
    begins = np.where(stream == 0, np.arange(len(stream)), 0)
    place = np.arange(len(stream)) - np.maximum.accumulate(begins)  # of each word in its sentence
    keys, counted = stream, []
    for order in range(1, max_order + 1):
        if order > 1:
            keys = keys[:-1] * base + stream[order - 1 :]
        counted.append(np.unique(keys[place[order - 1 :] >= order - 1], return_counts=True))
    counted[0] = np.arange(base), np.bincount(stream, minlength=base)  # words without a sentence too
    return counted


def smooth(counted: list[tuple[np.ndarray, np.ndarray]], base: int, min_counts: Sequence[int]) -> list[Level]:
    """Interpolated modified Kneser-Ney (Chen and Goodman 1999) of the n-grams counted often enough.

    An n-gram shorter than the longest counts as often as there are different words before it.
    """
    levels: list[Level] = []
    for order, (keys, counts) in enumerate(counted, start=1):
        if order < len(counted):
            counts_here = left_neighbours(keys, counts, counted[order][0], base**order, base ** (order - 1))
        else:
            counts_here = counts
        if order == 1:
            levels.append(unigrams(keys, counts_here))
        else:
            levels[-1:] = longer_ngrams(levels[-1], keys, counts_here, counts >= min_counts[order - 1], base, order)
    return levels


def left_neighbours(
    keys: np.ndarray, counts: np.ndarray, longer_keys: np.ndarray, modulus: int, first: int
) -> np.ndarray:
    """How many different words stand before each n-gram; how often it was seen where a sentence begins with it.

    Parameters
    ----------
    longer_keys : int64, the n-grams one word longer; modulo `modulus` they lose their first word
    first : keys below it begin with a sentence's begin
    """
    suffixes, neighbours = np.unique(longer_keys % modulus, return_counts=True)
    adjusted = counts.copy()
    adjusted[np.searchsorted(keys, suffixes)] = neighbours
    return np.where(keys < first, counts, adjusted)


def discounts(counts: np.ndarray) -> np.ndarray:
    """What modified Kneser-Ney takes from each count, by how many n-grams were counted once, twice, ...; float64."""
    once, twice, thrice, four = (np.sum(counts == count) for count in range(1, 5))
    by_count = FALLBACK_DISCOUNTS
    if once and twice and thrice and four:
        share = once / (once + 2 * twice)
        by_count = np.array([
            0, 1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice
        ])  # fmt: skip
        if (by_count[1:] <= 0).any():
            by_count = FALLBACK_DISCOUNTS
    return by_count[np.minimum(counts, 3)]


def unigrams(keys: np.ndarray, counts: np.ndarray) -> Level:
    """Every word but the sentence's begin, the first of them, gets an equal share of what discounting frees."""
    counts = np.where(keys == 0, 0, counts)
    taken = discounts(counts)
    probs = (counts - taken + taken.sum() / (len(keys) - 1)) / counts.sum()
    log_probs = np.log10(probs)
    log_probs[0] = NEVER
    return Level(keys, log_probs, np.zeros(len(keys)))


def longer_ngrams(
    shorter: Level, keys: np.ndarray, counts: np.ndarray, kept: np.ndarray, base: int, order: int
) -> tuple[Level, Level]:
    """The level of `order`, after the level below it with its backoff weights.

    Parameters
    ----------
    keys, counts : all n-grams of this order and their adjusted counts
    kept : bool, which of them the model shall hold
    """
    contexts, context_of = np.unique(keys // base, return_inverse=True)
    totals = np.bincount(context_of, weights=counts)
    probs = (counts - discounts(counts)) / totals[context_of]
    freed = 1 - np.bincount(context_of, weights=np.where(kept, probs, 0))
    place = np.searchsorted(shorter.keys, keys[kept] % base ** (order - 1))
    probs = probs[kept] + freed[context_of[kept]] * 10 ** shorter.log_probs[place]
    log_backoffs = np.zeros(len(shorter.keys))
    is_held = np.isin(contexts, shorter.keys)
    log_backoffs[np.searchsorted(shorter.keys, contexts[is_held])] = np.log10(freed[is_held])
    level = Level(keys[kept], np.log10(probs), np.zeros(kept.sum()))
    return replace(shorter, log_backoffs=log_backoffs), level
