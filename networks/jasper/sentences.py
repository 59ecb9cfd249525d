"""Sentences to train on: read from text or SQuAD files, kept only if their spoken form is beyond doubt."""

import gzip
import json
import re
from pathlib import Path

from convai.generator.pipeline import LABELS

MAX_LETTERS = 120  # about eight seconds of speech
CURLY_QUOTES = str.maketrans("‘’“”–—", "''\"\"--")
SPEAKABLE = re.compile(r"[A-Za-z' ,.?!;:\"-]+")
# Synthesisers disagree on whether to spell, expand or pronounce these.
ABBREVIATION = re.compile(r"\b[A-Z]{2,}|\b(Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|etc|Inc|Ltd|Co|Prof|Gen|Col|Lt)\b\.?|\w\.\w")


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


def speakable(sentence: str) -> str | None:
    """The sentence as it is handed to a synthesiser; None if it holds digits, symbols or abbreviations."""
    plain = " ".join(sentence.translate(CURLY_QUOTES).split())
    if not SPEAKABLE.fullmatch(plain) or ABBREVIATION.search(plain) or len(plain) > MAX_LETTERS:
        return None
    return plain if transcript(plain) else None


def transcript(sentence: str) -> str:
    """What a listener writes down: lower case a to z, apostrophes inside words, single spaces."""
    letters = "".join(letter if letter in LABELS else " " for letter in sentence.lower())
    return " ".join(stripped for word in letters.split() if (stripped := word.strip("'")))
