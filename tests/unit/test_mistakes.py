import json
from pathlib import Path

import pytest

from convai.errors import InvalidArgument, reading
from convai.networks.checkpoints.checkpoint import read_checkpoint
from training.common.texts import read_sentences, read_texts


def test_a_file_that_is_something_else_is_the_callers_mistake_and_named():
    with pytest.raises(InvalidArgument, match=r"^sizes.json is no JSON: JSONDecodeError: Expecting value") as caught:
        with reading(Path("sizes.json"), "JSON"):
            json.loads("no JSON")
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)


def test_what_the_reader_itself_says_about_a_file_stays_as_it_is(tmp_path):
    with pytest.raises(InvalidArgument, match="^it lacks a name$"), reading(tmp_path, "folder"):
        raise InvalidArgument("it lacks a name")
    with pytest.raises(FileNotFoundError), reading(tmp_path / "gone", "text"):
        (tmp_path / "gone").read_text()


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        (read_sentences, "latin.txt"),
        (read_sentences, "latin.json"),
        (read_texts, "latin.txt"),
        (read_texts, "latin.json"),
        (read_checkpoint, "garbage.pt"),
    ],
)
def test_readers_of_files_blame_the_file_by_name(reader, name, tmp_path):
    file = tmp_path / name
    file.write_bytes(b"garbage, caf\xe9\n")
    with pytest.raises(InvalidArgument, match=name):
        reader(file)
