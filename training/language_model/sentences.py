"""Sentences to train on, read from text or SQuAD files."""

import gzip
import json
from pathlib import Path

from convai.errors import reading


def read_sentences(file: Path) -> list[str]:
    """The questions of a SQuAD file (.json or .json.gz), or the lines of a text file."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as stream:
        if ".json" not in file.suffixes:
            with reading(file, "UTF-8 text"):
                return [line.strip() for line in stream if line.strip()]
        with reading(file, "SQuAD file"):
            articles = json.load(stream)["data"]
    return [
        answerable["question"].strip()
        for article in articles
        for paragraph in article["paragraphs"]
        for answerable in paragraph["qas"]
    ]
