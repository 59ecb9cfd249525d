import numpy as np
import pytest

from convai.backends.runtime.rows import split_rows, stack_rows
from convai.errors import InvalidArgument


def texts(*rows):
    return np.array([[row] for row in rows], dtype=np.object_)


def test_rows_lose_their_batch_axis_and_texts_become_str():
    batch = {"audio": np.arange(6, dtype=np.float32).reshape(2, 3), "context": texts("né".encode(), b"")}

    first, second = split_rows(batch)

    assert first["audio"].tolist() == [0, 1, 2]
    assert first["context"] == "né"
    assert second["context"] == ""


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"context": texts(b"ab\xffcd")}, "context: expected UTF-8, got byte 0xff at position 2"),
        ({"audio": np.zeros((2, 3)), "context": texts(b"")}, "'audio': 2, 'context': 1"),
        ({"context": np.array([[b"a", b"b"]], dtype=np.object_)}, "context: expected 1 text per row, got 2"),
    ],
)
def test_rows_that_make_no_sense_are_refused(batch, message):
    with pytest.raises(InvalidArgument, match=message):
        list(split_rows(batch))


def test_stacked_rows_are_padded_with_zeros_along_every_axis():
    stacked = stack_rows([np.ones((2, 1), np.int32), np.ones((1, 3), np.int32)])

    assert stacked.dtype == np.int32
    assert stacked.tolist() == [[[1, 0, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]]


def test_texts_of_rows_with_fewer_are_padded_with_empty_ones():
    rows = [np.array(words, np.object_) for words in ([b"who", b"is"], [], [b"why"])]
    assert stack_rows(rows).tolist() == [[b"who", b"is"], [b"", b""], [b"why", b""]]
    assert stack_rows(rows[1:2]).shape == (1, 0)


def test_stacked_texts_are_utf8_bytes_of_shape_rows_by_one():
    assert stack_rows(["né", ""]).tolist() == [["né".encode()], [b""]]
