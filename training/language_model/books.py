"""Draws sentences from books of Project Gutenberg for the language model.

    python -m training.language_model.books --folder books --without dev/manifest.jsonl dev-v1.1.json --out books.txt

Reads every .txt file under the folder, files of the same name once. The language model must not know the texts of the
evaluation: a sentence that shares six consecutive words with a text of `--without` is left out.
"""

import random
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from convai.backends.steps.transcripts import spoken_form, transcript
from convai.program import run_program
from training.common.recordings import read_manifest
from training.common.run import make_parser
from training.common.texts import read_sentences

WORDS_IN_A_ROW = 6
FEWEST_WORDS, MOST_WORDS = 3, 40
_PLAINER = str.maketrans({"’": "'", "“": '"', "”": '"', "—": ",", "_": None})

_body = re.compile(r"\*\*\* ?START OF.*?\*\*\*(.*?)(?:\*\*\* ?END OF|\Z)", re.DOTALL)
_paragraph_end = re.compile(r"\n\s*\n")
_sentence_end = re.compile(r"(?<=[a-z][.!?])[\"')]*\s+(?=[\"'(]*[A-Z])")
_unambiguous = re.compile(r"[A-Za-z ,;:'\"!?.()-]+")  # spoken as it is written


def split_sentences(book: str) -> Iterator[str]:
    """The sentences of a book's prose in spoken form."""
    body = _body.search(book)
    for paragraph in _paragraph_end.split(body[1] if body else book):
        for sentence in _sentence_end.split(" ".join(paragraph.translate(_PLAINER).replace("--", ", ").split())):
            if _unambiguous.fullmatch(sentence) and not sentence.isupper():
                spoken = transcript(sentence)
                if FEWEST_WORDS <= spoken.count(" ") + 1 <= MOST_WORDS:
                    yield spoken


def word_rows(text: str) -> Iterator[str]:
    """All sequences of six words."""
    words = text.split()
    for start in range(len(words) - WORDS_IN_A_ROW + 1):
        yield " ".join(words[start : start + WORDS_IN_A_ROW])


def read_dev_texts(files: Iterable[Path]) -> set[str]:
    """The texts of manifests (.jsonl), and the questions of SQuAD files, in spoken form."""
    texts: list[str] = []
    for file in files:
        texts += [one.text for one in read_manifest(file)] if file.suffix == ".jsonl" else read_sentences(file)
    return {spoken_form(text) for text in texts}


def build_parser() -> ArgumentParser:
    parser = make_parser("training.language_model.books", __doc__)
    parser.add_argument("--folder", type=Path, required=True, help="books as .txt files, at any depth")
    parser.add_argument("--words", type=int, default=25_000_000, help="how many words to draw (default: 25,000,000)")
    parser.add_argument("--without", type=Path, nargs="*", default=[], help="manifests and SQuAD files to leave out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: Namespace) -> None:
    books = list({file.name: file for file in sorted(args.folder.rglob("*.txt"))}.values())
    random.Random(args.seed).shuffle(books)
    excluded = {row for text in read_dev_texts(args.without) for row in word_rows(text)}
    words = drawn_books = left_out = 0
    with args.out.open("w", encoding="ascii") as stream, tqdm(total=args.words, unit=" words") as progress:
        for book in books:
            if words >= args.words:
                break
            drawn_books += 1
            for sentence in split_sentences(book.read_text(encoding="utf-8", errors="replace")):
                if any(row in excluded for row in word_rows(sentence)):
                    left_out += 1
                    continue
                print(sentence, file=stream)
                words += sentence.count(" ") + 1
            progress.update(words - progress.n)
    print(f"{args.out}: {drawn_books} books, {words:,} words; {left_out} sentences left out")


if __name__ == "__main__":
    sys.exit(main())
