import json
from pathlib import Path

import pytest

from convai.errors import InvalidArgument, reading
from convai.networks.checkpoints.checkpoint import read_checkpoint
from training.common.texts import read_texts


def test_a_file_of_another_kind_is_an_invalid_argument_that_names_it():
    with pytest.raises(
        InvalidArgument, match=r"^sizes.json is not a valid JSON file: JSONDecodeError: Expecting value"
    ) as caught:
        with reading(Path("sizes.json"), "JSON file"):
            json.loads("no JSON")
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)


def test_an_error_of_the_reader_itself_is_not_converted(tmp_path):
    with pytest.raises(InvalidArgument, match="^it lacks a name$"), reading(tmp_path, "folder"):
        raise InvalidArgument("it lacks a name")
    with pytest.raises(FileNotFoundError), reading(tmp_path / "gone", "text"):
        (tmp_path / "gone").read_text()


@pytest.mark.parametrize(("reader", "name"), [(read_texts, "latin.txt"), (read_checkpoint, "garbage.pt")])
def test_readers_of_files_name_the_file(reader, name, tmp_path):
    (tmp_path / name).write_bytes(b"garbage, caf\xe9\n")
    with pytest.raises(InvalidArgument, match=name):
        reader(tmp_path / name)
