"""Texts are said as a reader would say them; spoken_text.tsv has examples of every kind."""

import csv
import re
from itertools import product
from pathlib import Path

import pytest

from convai.text.text_normalizer import normalise_text

WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*")


def read_table():
    with (Path(__file__).parent / "spoken_text.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["kind"], row["written"].replace("\\n", "\n"), row["spoken"]) for row in rows]


@pytest.mark.parametrize(("kind", "written", "spoken"), read_table())
def test_a_text_is_said_as_the_table_says(kind, written, spoken):
    assert normalise_text(written) == spoken, kind
    assert normalise_text(spoken) == spoken


@pytest.mark.parametrize(("kind", "written", "spoken"), read_table())
def test_every_word_of_the_table_can_be_said(kind, written, spoken):
    words = re.sub(r"[!(),.:;?]", " ", spoken).split()
    assert all(map(WORD.fullmatch, words)), kind


PREFIXES = ("", "a", "-", "$", "#", "v", "x-", "(", ".")
NUMBERS = ("5", "12.5", "1,000", "7/8", "10:30", "3-4", "1.2.3", "2020-12", "555-0199")
SUFFIXES = ("", "M", "kg", "x", "st", "%", "s", "users", "B-", "am", ")")
SAID = set(
    "zero one two three four five six seven eight nine ten eleven twelve thirty fifty hundred thousand million billion"
    " first third fourth fifth eighth ninth twelfth thirtieth thousandth nineteen twenty thirties fifties nineties"
    " ninety eighths oh point half quarters over and to dash dot minus plus number hashtag version december dollars"
    " percent seconds second kilogram kilograms a b m s t u th fives tens am kg".split()
)


def test_no_word_stands_against_a_letter():
    for prefix, number, suffix in product(PREFIXES, NUMBERS, SUFFIXES):
        words = set(re.findall(r"[a-z]+", normalise_text(prefix + number + suffix)))
        assert words <= SAID | {prefix.strip("-($#."), suffix.lower().strip("-)")}, (prefix, number, suffix)


def test_plain_prose_keeps_its_words_and_marks():
    text = "He said (and I quote): it isn't so; is it? Well-known rules - of thumb - hold, don't they!"
    assert normalise_text(text) == (
        "he said (and i quote): it isn't so; is it? well-known rules, of thumb, hold, don't they!"
    )


@pytest.mark.timeout(60)  # a pattern that scans the text once per character takes minutes
@pytest.mark.parametrize(
    "part",
    ["1,23", "1/", "1:", "1 000 ", "$1-", "+1 ", "<", '<b x="', "<!--", "*", "**a", "[a](", "`", "a@", "http://", "#",
     "A ", "IV ", "May ", "= ", "\n- ", "\n\n"],
)  # fmt: skip
def test_a_long_text_of_odd_parts_is_normalised_in_linear_time(part):
    assert len(normalise_text((part * 16_384)[:16_384])) < 10 * 16_384
