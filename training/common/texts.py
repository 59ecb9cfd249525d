"""Reads the texts that trainings learn from: text files with one sentence a line, and SQuAD files."""

import gzip
import io
import json
import random
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from convai.errors import InvalidArgument, reading

_sentence_end = re.compile(r"(?<=[a-z0-9)][.!?]) (?=[A-Z])")


def is_squad_file(file: Path) -> bool:
    return ".json" in file.suffixes


def read_squad(squad_file: Path) -> list[dict]:
    """Read the articles of a SQuAD file, plain or gzipped. Raises InvalidArgument if it is something else."""
    opener = gzip.open if Path(squad_file).suffix == ".gz" else open
    try:
        with opener(squad_file, "rt", encoding="utf-8") as stream:
            return json.load(stream)["data"]
    except (gzip.BadGzipFile, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidArgument(f"{squad_file} is not a SQuAD file: expected JSON with articles under 'data'") from error


def read_paragraphs(file: Path) -> list[dict]:
    """Read the passages of a SQuAD file (.json, .json.gz) with their questions; a text file has none."""
    if not is_squad_file(file):
        return []
    return [paragraph for article in read_squad(file) for paragraph in article["paragraphs"]]


def read_sentences(file: Path) -> list[str]:
    """Read the questions of a SQuAD file, or the lines of a text file."""
    if is_squad_file(file):
        return [entry["question"].strip() for paragraph in read_paragraphs(file) for entry in paragraph["qas"]]
    opener = gzip.open if file.suffix == ".gz" else open
    with reading(file, "UTF-8 text"), opener(file, "rt", encoding="utf-8") as stream:
        return [line.strip() for line in stream if line.strip()]


def read_texts(file: Path) -> dict[str, list[str]]:
    """Read the texts of a file by kind: answers, questions and contexts of a SQuAD file, or lines of a text file."""
    if not is_squad_file(file):
        return {"lines": read_sentences(file)}
    paragraphs = read_paragraphs(file)
    answers = [answer["text"] for paragraph in paragraphs for entry in paragraph["qas"] for answer in entry["answers"]]
    return {
        "answers": list(dict.fromkeys(answers)),
        "questions": read_sentences(file),
        "contexts": [text for paragraph in paragraphs for text in _sentence_end.split(paragraph["context"])],
    }


def draw_texts(files: list[Path], count: int, max_words: int, rng: random.Random) -> list[str]:
    """Draw `count` texts of at most `max_words` words: equally many of each kind in each file, while they last."""
    kinds = [texts for file in files for texts in read_texts(file).values()]
    drawn = []
    for texts in kinds:
        usable = [text for text in texts if 0 < len(text.split()) <= max_words]
        drawn += rng.sample(usable, min(len(usable), -(-count // len(kinds))))
    rng.shuffle(drawn)
    return drawn[:count]


@contextmanager
def write_gzip(file: Path) -> Generator[TextIO]:
    """Open a gzipped text file for writing; the same text makes the same bytes."""
    with (
        open(file, "wb") as binary,
        gzip.GzipFile("", "wb", 9, binary, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
    ):
        yield stream
