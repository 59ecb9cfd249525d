"""Estimates n-gram language models (modified Kneser-Ney smoothing), mixes two of them, and writes the ARPA format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TextIO

import numpy as np

from convai.errors import InvalidArgument

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # ARPA's log10 of zero
FALLBACK_DISCOUNTS = np.array([0.0, 0.5, 1.0, 1.5])  # if the texts are too short to estimate them


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, sorted by key. The word ids are the digits of a key, the last word the lowest digit.

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
    """`levels[0]` holds the unigrams, one per word of `words`, in that order."""

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
                ngram = " ".join(self.words[word] for word in split_key(int(key), order, len(self.words)))
                stream.write(f"{log_prob:.2f}\t{ngram}" + (f"\t{log_backoff:.2f}\n" if log_backoff else "\n"))
        stream.write("\n\\end\\\n")


def split_key(key: int, order: int, base: int) -> list[int]:
    """The word ids of a key."""
    return [key // base**place % base for place in reversed(range(order))]


def estimate(
    sentences: Iterable[Sequence[str]], min_counts: Sequence[int], other_words: Iterable[str] = ()
) -> NgramModel:
    """Estimate a model of the n-grams of each order seen at least `min_counts[order - 1]` times.

    Other n-grams are reached by backing off, and every distribution sums to one. Words are never left out, so the first
    of `min_counts` is 1. The others do not decrease, so that an n-gram keeps the shorter ones it depends on.

    Parameters
    ----------
    other_words : words without a sentence, which may follow any word
    """
    if min_counts[0] != 1 or any(low > high for low, high in pairwise(min_counts)):
        raise InvalidArgument(
            f"min_counts: expected counts that start with 1 and do not decrease, got {list(min_counts)}"
        )
    marked = [[BEGIN, *sentence, END] for sentence in sentences]
    words = [BEGIN, END, *sorted({word for sentence in marked for word in sentence}.union(other_words) - {BEGIN, END})]
    base, max_order = len(words), len(min_counts)
    if base**max_order > np.iinfo(np.int64).max:
        raise InvalidArgument(f"{base:,} words are too many for n-grams of {max_order}: their keys exceed 63 bits")
    ids = {word: index for index, word in enumerate(words)}
    stream = np.array([ids[word] for sentence in marked for word in sentence], np.int64)
    return NgramModel(words, smooth(count_ngrams(stream, base, max_order), base, min_counts))


def count_ngrams(stream: np.ndarray, base: int, max_order: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sorted keys and counts of each order; no n-gram spans two sentences.

    Parameters
    ----------
    stream : int64, shape = (words,), all sentences in a row, each starting with 0
    """
    begins = np.where(stream == 0, np.arange(len(stream)), 0)
    place = np.arange(len(stream)) - np.maximum.accumulate(begins)  # of each word in its sentence
    keys, counted = stream, []
    for order in range(1, max_order + 1):
        if order > 1:
            keys = keys[:-1] * base + stream[order - 1 :]
        counted.append(np.unique(keys[place[order - 1 :] >= order - 1], return_counts=True))
    counted[0] = np.arange(base), np.bincount(stream, minlength=base)  # including words without a sentence
    return counted


def smooth(counted: list[tuple[np.ndarray, np.ndarray]], base: int, min_counts: Sequence[int]) -> list[Level]:
    """Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999).

    The count of an n-gram below the highest order is the number of different words before it.
    """
    levels: list[Level] = []
    for order, (keys, counts) in enumerate(counted, start=1):
        if order < len(counted):
            counts_here = count_left_neighbours(keys, counts, counted[order][0], base**order, base ** (order - 1))
        else:
            counts_here = counts
        if order == 1:
            levels.append(smooth_unigrams(keys, counts_here))
        else:
            levels[-1:] = smooth_ngrams(levels[-1], keys, counts_here, counts >= min_counts[order - 1], base, order)
    return levels


def count_left_neighbours(
    keys: np.ndarray, counts: np.ndarray, longer_keys: np.ndarray, modulus: int, first: int
) -> np.ndarray:
    """Number of different words before each n-gram, or its own count if it starts a sentence.

    Parameters
    ----------
    longer_keys : int64, the n-grams one word longer; modulo `modulus` they lose their first word
    first : keys below it start a sentence
    """
    suffixes, neighbours = np.unique(longer_keys % modulus, return_counts=True)
    adjusted = counts.copy()
    adjusted[np.searchsorted(keys, suffixes)] = neighbours
    return np.where(keys < first, counts, adjusted)


def discount(counts: np.ndarray) -> np.ndarray:
    """Discount of each count, from the numbers of n-grams counted once, twice, ...: float64, shape = (n-grams,)."""
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


def smooth_unigrams(keys: np.ndarray, counts: np.ndarray) -> Level:
    """Every word except the first, the begin of a sentence, gets an equal share of the discounts."""
    counts = np.where(keys == 0, 0, counts)
    discounts = discount(counts)
    probs = (counts - discounts + discounts.sum() / (len(keys) - 1)) / counts.sum()
    log_probs = np.log10(probs)
    log_probs[0] = NEVER
    return Level(keys, log_probs, np.zeros(len(keys)))


def smooth_ngrams(
    shorter: Level, keys: np.ndarray, counts: np.ndarray, kept: np.ndarray, base: int, order: int
) -> tuple[Level, Level]:
    """The level below with its backoff weights, and the level of `order`.

    Parameters
    ----------
    keys, counts : all n-grams of this order and their adjusted counts
    kept : bool, n-grams that stay in the model
    """
    contexts, context_of = np.unique(keys // base, return_inverse=True)
    totals = np.bincount(context_of, weights=counts)
    probs = (counts - discount(counts)) / totals[context_of]
    freed = 1 - np.bincount(context_of, weights=np.where(kept, probs, 0))
    place = np.searchsorted(shorter.keys, keys[kept] % base ** (order - 1))
    probs = probs[kept] + freed[context_of[kept]] * 10 ** shorter.log_probs[place]
    log_backoffs = np.zeros(len(shorter.keys))
    is_held = np.isin(contexts, shorter.keys)
    log_backoffs[np.searchsorted(shorter.keys, contexts[is_held])] = np.log10(freed[is_held])
    level = Level(keys[kept], np.log10(probs), np.zeros(kept.sum()))
    return replace(shorter, log_backoffs=log_backoffs), level


def mix(one: NgramModel, other: NgramModel, share: float) -> NgramModel:
    """Interpolate two models: each probability is `share` of that in `one` and the rest of that in `other`.

    This is exact for the n-grams of either model. Others are reached by backing off; every distribution sums to one.

    Parameters
    ----------
    one, other : of the same words and orders
    share : 0 to 1
    """
    if list(one.words) != list(other.words) or len(one.levels) != len(other.levels):
        raise InvalidArgument("expected two models of the same words and orders, got different ones")
    base, levels = len(one.words), list[Level]()
    for order in range(1, len(one.levels) + 1):
        keys = np.union1d(one.levels[order - 1].keys, other.levels[order - 1].keys)
        probs = share * 10 ** compute_log_probs(one, keys, order) + (1 - share) * 10 ** compute_log_probs(
            other, keys, order
        )
        if order > 1:
            levels[-1] = add_backoffs(levels, keys, probs, base)
        levels.append(Level(keys, np.log10(probs), np.zeros(len(keys))))
    return NgramModel(one.words, levels)


def compute_log_probs(model: NgramModel, keys: np.ndarray, order: int) -> np.ndarray:
    """Log probabilities, to the base 10, of n-grams in the model or not: float64, shape = (n-grams,)."""
    base = len(model.words)
    level = model.levels[order - 1]
    place, is_held = find(level, keys)
    values = level.log_probs[place]
    if order > 1 and not is_held.all():
        missing = keys[~is_held]
        history, history_is_held = find(model.levels[order - 2], missing // base)
        backoffs = np.where(history_is_held, model.levels[order - 2].log_backoffs[history], 0)
        values[~is_held] = backoffs + compute_log_probs(model, missing % base ** (order - 1), order - 1)
    return values


def add_backoffs(levels: list[Level], keys: np.ndarray, probs: np.ndarray, base: int) -> Level:
    """The last level with the backoff weights that the longer n-grams `keys` leave.

    Parameters
    ----------
    levels : all orders below that of `keys`; the last one has no backoff weights yet
    probs : of each n-gram of `keys`
    """
    shorter, order = levels[-1], len(levels) + 1
    below = NgramModel(range(base), levels)  # pyright: ignore[reportArgumentType] -- only their number counts
    history, is_held = find(shorter, keys // base)
    assert is_held.all()  # a model with an n-gram has its prefix
    taken = np.bincount(history, weights=probs, minlength=len(shorter.keys))
    shorter_probs = 10 ** compute_log_probs(below, keys % base ** (order - 1), order - 1)
    taken_below = np.bincount(history, weights=shorter_probs, minlength=len(shorter.keys))
    return Level(
        shorter.keys, shorter.log_probs, np.log10(np.maximum(1 - taken, 1e-9) / np.maximum(1 - taken_below, 1e-9))
    )


def find(level: Level, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of each key in a level, and whether it is there."""
    place = np.minimum(np.searchsorted(level.keys, keys), len(level.keys) - 1)
    return place, level.keys[place] == keys
