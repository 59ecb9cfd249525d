from dataclasses import dataclass

import pytest

from convai.backends.runtime.parameters import build_step
from convai.errors import InvalidArgument


@dataclass(frozen=True)
class Padder:
    buckets: tuple[int, ...] = (1, 2)
    sigma: float = 0.5
    table_file: str = "table.txt"

    def __post_init__(self):
        if self.sigma < 0:
            raise InvalidArgument(f"sigma: expected 0 or more, got {self.sigma}")


def build(folder, **parameters):
    texts = {name: {"string_value": text} for name, text in parameters.items()}
    return build_step(Padder, {"name": "padder", "parameters": texts}, folder)


def test_parameters_are_json_and_lists_become_tuples(tmp_path):
    padder = build(tmp_path, buckets="[8, 16]", sigma="0.25")

    assert padder.buckets == (8, 16)
    assert padder.sigma == 0.25


def test_files_are_in_the_version_folder_default_ones_too(tmp_path):
    assert build(tmp_path, table_file='"other.txt"').table_file == str(tmp_path / "other.txt")
    assert build(tmp_path).table_file == str(tmp_path / "table.txt")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sigmoid", "1", "padder: parameter sigmoid is unknown; expected one of buckets, sigma, table_file"),
        ("sigma", "high", "padder: parameter sigma: expected JSON, with strings in quotes, got 'high'"),
        ("sigma", "-1", "padder: .*sigma: expected 0 or more, got -1"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_step(tmp_path, name, text, message):
    with pytest.raises(InvalidArgument, match=message):
        build(tmp_path, **{name: text})
