"""Checks of parameters and inputs that several steps share, and bucket sizes; all raise InvalidArgument.

Steps pad to a few fixed sizes, the buckets, so that requests of different lengths can share a batch.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from convai.description.limits import MAX_CONTEXT_BYTES
from convai.errors import InvalidArgument


def check_range(name: str, value: float, lowest: float, highest: float) -> None:
    """Refuse a number outside `lowest` to `highest`, both included; NaN is outside."""
    if not lowest <= value <= highest:
        raise InvalidArgument(f"{name}: expected {lowest:g} to {highest:g}, got {value}")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidArgument(f"{name}: expected {' or '.join(map(repr, choices))}, got {value!r}")


def check_text_size(name: str, text: str) -> None:
    """Refuse a context, or a written question, that exceeds the limit."""
    num_bytes = len(text.encode())
    if num_bytes > MAX_CONTEXT_BYTES:
        raise InvalidArgument(f"{name}: expected at most {MAX_CONTEXT_BYTES} bytes of UTF-8, got {num_bytes}")


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
