"""Split a request's arrays into rows, and stack the rows of its results."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from convai.arrays import Array
from convai.errors import InvalidArgument


def split_rows(batch: dict[str, Array]) -> Iterator[dict[str, Array | str]]:
    """Yield the inputs of each row of one request: arrays without their batch axis, texts as str.

    Parameters
    ----------
    batch : arrays by input name, shape = (rows, ...); dtype object holds UTF-8 bytes, shape = (rows, 1)

    Raises
    ------
    InvalidArgument
        If a text is not UTF-8, or the inputs differ in their number of rows.
    """
    counts = {name: len(array) for name, array in batch.items()}
    if len(set(counts.values())) != 1:
        raise InvalidArgument(f"inputs: expected the same number of rows in all, got {counts}")
    for row in range(next(iter(counts.values()))):
        yield {name: read_row(name, array, row) for name, array in batch.items()}


def read_row(name: str, array: Array, row: int) -> Array | str:
    if array.dtype != np.object_:
        return array[row]
    if array[row].size != 1:
        raise InvalidArgument(f"{name}: expected 1 text per row, got {array[row].size}")
    text: bytes = array[row].item()
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = text[error.start]
        raise InvalidArgument(f"{name}: expected UTF-8, got byte 0x{byte:02x} at position {error.start}") from error


def stack_rows(rows: Sequence[Array | str]) -> Array:
    """Stack one output of all rows of a request, padded at the end of each axis to the longest.

    Numbers are padded with zeros, UTF-8 bytes with empty ones.

    Parameters
    ----------
    rows : arrays of equal rank and dtype, or texts

    Returns
    -------
    array, shape = (rows, ...); for texts dtype object holding UTF-8 bytes, shape = (rows, 1)
    """
    if isinstance(rows[0], str):
        return np.array([[text.encode("utf-8")] for text in cast(Sequence[str], rows)], dtype=np.object_)
    arrays = cast(Sequence[Array], rows)
    if len(arrays) == 1:
        return arrays[0][np.newaxis]
    longest = np.max([row.shape for row in arrays], axis=0)
    dtype = arrays[0].dtype
    stacked = np.full((len(arrays), *longest), b"" if dtype == np.object_ else 0, dtype)
    for target, row in zip(stacked, arrays, strict=True):
        target[tuple(slice(size) for size in row.shape)] = row
    return stacked
