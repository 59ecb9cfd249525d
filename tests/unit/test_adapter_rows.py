import numpy as np
import pytest

from convai.backends.runtime.rows import split_rows, stack_rows


def texts(*rows):
    return np.array([[row] for row in rows], dtype=np.object_)


def test_rows_lose_their_batch_axis_and_texts_become_str():
    batch = {"audio": np.arange(6, dtype=np.float32).reshape(2, 3), "context": texts("né".encode(), b"")}

    first, second = split_rows(batch)

    assert first["audio"].tolist() == [0, 1, 2]
    assert first["context"] == "né"
    assert second["context"] == ""


def test_invalid_utf8_is_refused_with_its_position():
    with pytest.raises(ValueError, match="context is not valid UTF-8: byte 0xff at position 2"):
        list(split_rows({"context": texts(b"ab\xffcd")}))


def test_invalid_utf8_in_a_hint_is_replaced():
    (row,) = split_rows({"context": texts(b"ab\xffcd")}, hints=("context",))
    assert row["context"] == "ab\ufffdcd"


def test_inputs_with_different_numbers_of_rows_are_refused():
    with pytest.raises(ValueError, match="'audio': 2, 'context': 1"):
        list(split_rows({"audio": np.zeros((2, 3)), "context": texts(b"")}))


def test_several_texts_in_a_row_are_refused():
    with pytest.raises(ValueError, match="context has 2 texts in one row; allowed is 1"):
        list(split_rows({"context": np.array([[b"a", b"b"]], dtype=np.object_)}))


def test_stacked_rows_are_padded_with_zeros_along_every_axis():
    stacked = stack_rows([np.ones((2, 1), np.int32), np.ones((1, 3), np.int32)])

    assert stacked.dtype == np.int32
    assert stacked.tolist() == [[[1, 0, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]]


def test_rows_of_length_zero_stack():
    assert stack_rows([np.zeros((80, 0), np.float32)]).shape == (1, 80, 0)
    assert stack_rows([np.zeros(0, np.float32), np.ones(2, np.float32)]).tolist() == [[0, 0], [1, 1]]


def test_stacked_texts_are_utf8_bytes_of_shape_rows_by_one():
    stacked = stack_rows(["né", ""])

    assert stacked.shape == (2, 1)
    assert stacked[0, 0] == "né".encode()
