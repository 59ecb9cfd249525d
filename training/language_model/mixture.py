"""Joins two n-gram language models into one that holds the n-grams of both: linear interpolation."""

import numpy as np

from convai.errors import InvalidArgument
from training.language_model.ngrams import Level, NgramModel


def mixture(one: NgramModel, other: NgramModel, share: float) -> NgramModel:
    """The model that gives each word `share` of its probability in `one` and the rest of that in `other`.

    That holds exactly for the n-grams of either; what neither holds is reached by backing off, and every distribution
    still sums to one.

    Parameters
    ----------
    one, other : of the same words and orders
    share : 0 to 1
    """
    if list(one.words) != list(other.words) or len(one.levels) != len(other.levels):
        raise InvalidArgument("got models of different words or orders; allowed are two with the same")
    base, levels = len(one.words), list[Level]()
    for order in range(1, len(one.levels) + 1):
        keys = np.union1d(one.levels[order - 1].keys, other.levels[order - 1].keys)
        probs = share * 10 ** log_probs(one, keys, order) + (1 - share) * 10 ** log_probs(other, keys, order)
        if order > 1:
            levels[-1] = with_backoffs(levels, keys, probs, base)
        levels.append(Level(keys, np.log10(probs), np.zeros(len(keys))))
    return NgramModel(one.words, levels)


def log_probs(model: NgramModel, keys: np.ndarray, order: int) -> np.ndarray:
    """What the model says to n-grams, held or not: float64, shape = (n-grams,), to the base 10."""
    base = len(model.words)
    level = model.levels[order - 1]
    place, is_held = find(level, keys)
    values = level.log_probs[place]
    if order > 1 and not is_held.all():
        missing = keys[~is_held]
        history, history_is_held = find(model.levels[order - 2], missing // base)
        backoffs = np.where(history_is_held, model.levels[order - 2].log_backoffs[history], 0)
        values[~is_held] = backoffs + log_probs(model, missing % base ** (order - 1), order - 1)
    return values


def with_backoffs(levels: list[Level], keys: np.ndarray, probs: np.ndarray, base: int) -> Level:
    """The last level, with what its n-grams leave to words that none of the longer `keys` continues them with.

    Parameters
    ----------
    levels : all orders below that of `keys`; the last one's backoff weights are not known yet
    probs : of each n-gram of `keys`
    """
    shorter, order = levels[-1], len(levels) + 1
    below = NgramModel(range(base), levels)  # pyright: ignore[reportArgumentType] -- only their number counts
    history, is_held = find(shorter, keys // base)
    assert is_held.all()  # a model that holds an n-gram holds what it begins with
    taken = np.bincount(history, weights=probs, minlength=len(shorter.keys))
    shorter_probs = 10 ** log_probs(below, keys % base ** (order - 1), order - 1)
    taken_below = np.bincount(history, weights=shorter_probs, minlength=len(shorter.keys))
    return Level(
        shorter.keys, shorter.log_probs, np.log10(np.maximum(1 - taken, 1e-9) / np.maximum(1 - taken_below, 1e-9))
    )


def find(level: Level, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each key is in a level, and whether it is there at all."""
    place = np.minimum(np.searchsorted(level.keys, keys), len(level.keys) - 1)
    return place, level.keys[place] == keys
