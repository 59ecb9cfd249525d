"""Take a request's arrays apart into rows, and put the rows of its results together again."""

from collections.abc import Collection, Iterator, Sequence
from typing import cast

import numpy as np

from convai.arrays import Array
from convai.errors import InvalidArgument


def split_rows(batch: dict[str, Array], hints: Collection[str] = ()) -> Iterator[dict[str, Array | str]]:
    """The inputs of each row of one request.

    Parameters
    ----------
    batch : arrays by input name, shape = (rows, ...); dtype object holds UTF-8 bytes, shape = (rows, 1)
    hints : names of texts that the step can do without; what is not UTF-8 in them is replaced, not refused

    Yields
    ------
    arrays without their batch axis by input name; texts as str

    Raises
    ------
    InvalidArgument if a text is not UTF-8, or the inputs disagree on the number of rows
    """
    counts = {name: len(array) for name, array in batch.items()}
    if len(set(counts.values())) != 1:
        raise InvalidArgument(f"inputs differ in their number of rows: {counts}; allowed is one number for all")
    for row in range(next(iter(counts.values()))):
        yield {name: row_of(name, array, row, name in hints) for name, array in batch.items()}


def row_of(name: str, array: Array, row: int, is_hint: bool = False) -> Array | str:
    if array.dtype != np.object_:
        return array[row]
    if array[row].size != 1:
        raise InvalidArgument(f"{name} has {array[row].size} texts in one row; allowed is 1")
    text = array[row].item()
    return text.decode("utf-8", errors="replace") if is_hint else decode_text(name, text)


def decode_text(name: str, text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"{name} is not valid UTF-8: byte 0x{text[error.start]:02x} at position {error.start}"
        ) from error


def stack_rows(rows: Sequence[Array | str]) -> Array:
    """One output of all rows of a request, zero-padded at the end of each axis to the longest.

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
    stacked = np.zeros((len(arrays), *longest), dtype=arrays[0].dtype)
    for target, row in zip(stacked, arrays, strict=True):
        target[tuple(slice(size) for size in row.shape)] = row
    return stacked
