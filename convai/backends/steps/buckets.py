"""Bucket sizes: steps pad to a few fixed sizes, so that requests of different lengths can share a batch."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from convai.errors import InvalidArgument


def check_buckets(name: str, buckets: Sequence[int]) -> None:
    """Refuse buckets that are not positive whole numbers in strictly rising order."""
    whole = all(isinstance(size, int) and size > 0 for size in buckets)
    if not buckets or not whole or any(low >= high for low, high in pairwise(buckets)):
        raise InvalidArgument(f"{name}: expected positive whole numbers in strictly rising order, got {list(buckets)}")


def choose_bucket(name: str, size: int, buckets: Sequence[int], unit: str) -> int:
    """The smallest bucket that holds `size`; InvalidArgument, with the name of the input and the unit, if none does."""
    if size > buckets[-1]:
        raise InvalidArgument(f"{name}: expected at most {buckets[-1]} {unit}, got {size}")
    return buckets[bisect_left(buckets, size)]
