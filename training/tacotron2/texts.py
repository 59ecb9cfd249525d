"""Texts for the voice to learn from: sentences of text files; answers, questions and contexts of SQuAD files."""

import random
import re
from pathlib import Path

from convai.errors import reading
from training.bert.squad import read_squad

_sentence_end = re.compile(r"(?<=[a-z0-9)][.!?]) (?=[A-Z])")


def read_texts(file: Path) -> dict[str, list[str]]:
    """Texts by kind: of a SQuAD file (.json, .json.gz) answers, questions and contexts, else lines."""
    if ".json" not in file.suffixes:
        with reading(file, "UTF-8 text"):
            return {"lines": [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]}
    paragraphs = [paragraph for article in read_squad(file) for paragraph in article["paragraphs"]]
    entries = [entry for paragraph in paragraphs for entry in paragraph["qas"]]
    return {
        "answers": list(dict.fromkeys(answer["text"] for entry in entries for answer in entry["answers"])),
        "questions": [entry["question"].strip() for entry in entries],
        "contexts": [text for paragraph in paragraphs for text in _sentence_end.split(paragraph["context"])],
    }


def draw_texts(files: list[Path], count: int, max_words: int, rng: random.Random) -> list[str]:
    """Draw `count` texts of at most `max_words` words, as many of each kind in each file as there are."""
    kinds = [texts for file in files for texts in read_texts(file).values()]
    drawn = []
    for texts in kinds:
        usable = [text for text in texts if 0 < len(text.split()) <= max_words]
        drawn += rng.sample(usable, min(len(usable), -(-count // len(kinds))))
    rng.shuffle(drawn)
    return drawn[:count]
