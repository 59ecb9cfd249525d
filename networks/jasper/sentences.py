"""Sentences to train on: read from text or SQuAD files and spelled out as serving spells them."""

import gzip
import json
from pathlib import Path

from convai.backends.glue.text_normalizer import normalize
from convai.generator.pipeline import LABELS


def read_sentences(file: Path) -> list[str]:
    """The questions of a SQuAD file (.json or .json.gz), or the lines of a text file."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as stream:
        if ".json" not in file.suffixes:
            return [line.strip() for line in stream if line.strip()]
        articles = json.load(stream)["data"]
    return [
        answerable["question"].strip()
        for article in articles
        for paragraph in article["paragraphs"]
        for answerable in paragraph["qas"]
    ]


def speakable(sentence: str) -> str:
    """The sentence as it is handed to a synthesiser, numbers and abbreviations in words; empty if nothing is spoken.

    Synthesisers would otherwise disagree with the transcript on how to read `1905` or `Dr.`.
    """
    spoken = normalize(sentence).replace("(", ", ").replace(")", ", ")
    return spoken if transcript(spoken) else ""


def transcript(sentence: str) -> str:
    """What a listener writes down: lower case a to z, apostrophes inside words, single spaces."""
    letters = "".join(letter if letter in LABELS else " " for letter in sentence.lower())
    return " ".join(stripped for word in letters.split() if (stripped := word.strip("'")))
