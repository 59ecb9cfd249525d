"""How sure a word error rate is: bootstrap intervals over recordings, or over speakers where there are several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE_LEVEL = 0.95
RESAMPLES = 2000
SEED = 0
FEWEST_SPEAKERS = 5  # fewer tell next to nothing of how speakers differ


@dataclass(frozen=True)
class Interval:
    """A figure in percent and the bounds that hold it with 95 % confidence; NaN where one recording is all there is."""

    value: float
    low: float
    high: float


def rate(errors: np.ndarray, words: np.ndarray, axis: int = -1) -> np.ndarray:
    """Errors per word said, in percent."""
    return 100 * errors.sum(axis) / words.sum(axis)


def rate_difference(errors: np.ndarray, others: np.ndarray, words: np.ndarray, axis: int = -1) -> np.ndarray:
    """By how much the rate of `errors` exceeds that of `others` on the same words, in percent."""
    return rate(errors - others, words, axis)


def resampling_units(speakers: Sequence[str]) -> np.ndarray:
    """For each recording the unit it is drawn with: its speaker's, or its own where there are fewer than five.

    People differ more than the sentences of one person do: drawing recordings alone would claim too much.
    """
    names, units = np.unique(speakers, return_inverse=True)
    return units if len(names) >= FEWEST_SPEAKERS else np.arange(len(speakers))


def bootstrap_interval(statistic: Callable, counts: Sequence[Sequence[int]], speakers: Sequence[str]) -> Interval:
    """A statistic and its interval.

    Parameters
    ----------
    statistic : `rate` or `rate_difference`
    counts : what it takes, each a number per recording
    speakers : of each recording
    """
    units = resampling_units(speakers)
    totals = [np.bincount(units, weights=numbers) for numbers in counts]
    value = float(statistic(*totals))
    if len(totals[0]) < 2:
        return Interval(value, np.nan, np.nan)
    bounds = bootstrap(
        totals,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=200,  # bounds the memory
        confidence_level=CONFIDENCE_LEVEL,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(value, float(bounds.low), float(bounds.high))
