"""Bucket sizes: steps pad to a few fixed sizes, so that requests of different length can share a batch."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from convai.errors import InvalidArgument


def check_buckets(field: str, buckets: Sequence[int]) -> None:
    """Raise ValueError unless `buckets` are positive whole numbers in strictly rising order."""
    whole = all(isinstance(size, int) and size > 0 for size in buckets)
    if not buckets or not whole or any(low >= high for low, high in pairwise(buckets)):
        raise ValueError(f"{field}: got {list(buckets)}; allowed are positive whole numbers in strictly rising order")


def smallest_bucket(size: int, buckets: Sequence[int], unit: str) -> int:
    """The smallest bucket that holds `size`; InvalidArgument, counted in `unit`, if none does."""
    if size > buckets[-1]:
        raise InvalidArgument(f"got {size} {unit}; allowed are at most {buckets[-1]}")
    return buckets[bisect_left(buckets, size)]
