"""Builds the rescorer's corpus: all texts as indices of a vocabulary, in one file.

    python -m training.rescorer.corpus --texts train-v1.1.json.gz *.txt --general-texts books.txt --out corpus.npz

The questions of SQuAD files (.json, .json.gz) are read twice: with their passages, and among the sentences without one,
like the sentences of the passages.
"""

import itertools
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from tqdm import tqdm

from convai.backends.steps.rescorer import NUM_MARKS, Vocabulary
from convai.backends.steps.transcripts import speakable, spoken_form, transcript
from convai.errors import InvalidArgument, reading
from convai.program import run_program
from training.common.run import make_parser
from training.common.texts import read_paragraphs, read_sentences
from training.language_model.books import read_dev_texts
from training.language_model.language_model import read_transcripts
from training.rescorer.model import RescorerConfig

DIGITS = "zero one two three four five six seven eight nine".split()
MONTHS = "January February March April May June July August September October November December".split()
MOST_SYMBOLS = 9

Words = Sequence[str]
Asked = tuple[Words, Sequence[Words]]  # a passage and its questions


@dataclass(frozen=True)
class Texts:
    """Texts joined into one array.

    Attributes
    ----------
    places : int32, shape = (words,), indices of the vocabulary
    letters : uint8, shape = (words,), letters of each word
    ends : int64, shape = (texts,), end of each text
    """

    places: np.ndarray
    letters: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, texts: Iterable[Words], vocabulary: Vocabulary) -> "Texts":
        texts = list(texts)
        words = list(itertools.chain.from_iterable(texts))
        letters = np.minimum([len(word) for word in words], 255).astype(np.uint8)
        return cls(vocabulary.places(words).astype(np.int32), letters, np.cumsum([len(text) for text in texts]))

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)

    def at(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Places and letters of one text."""
        text = slice(self.ends[index - 1] if index else 0, self.ends[index])
        return self.places[text], self.letters[text]


@dataclass(frozen=True)
class Corpus:
    """
    Attributes
    ----------
    words : of the vocabulary
    sentences, general : without a passage
    passages, questions : the questions of a passage stand together, in the order of the passages
    owners : int64, shape = (questions,), the passage of each
    """

    words: list[str]
    sentences: Texts
    general: Texts
    passages: Texts
    questions: Texts
    owners: np.ndarray

    def save(self, file: Path) -> None:
        arrays = {
            f"{kind}_{name}": array
            for kind in ("sentences", "general", "passages", "questions")
            for name, array in vars(getattr(self, kind)).items()
        }
        np.savez(file, words=np.array(" ".join(self.words)), owners=self.owners, **arrays)

    @classmethod
    def load(cls, file: Path) -> "Corpus":
        with reading(file, "corpus"):
            arrays = dict(np.load(file))
            texts = {
                kind: Texts(*(arrays[f"{kind}_{name}"] for name in ("places", "letters", "ends")))
                for kind in ("sentences", "general", "passages", "questions")
            }
            return cls(str(arrays["words"]).split(), owners=arrays["owners"], **texts)


def read_questions(files: Iterable[Path]) -> list[Asked]:
    """The words of every passage and of its questions."""
    return [
        (
            spoken_form(paragraph["context"]).split(),
            [transcript(speakable(entry["question"])).split() for entry in paragraph["qas"]],
        )
        for file in files
        for paragraph in tqdm(read_paragraphs(file), desc=f"{file.name}, passages", mininterval=5)
    ]


def read_corpus(
    texts: Sequence[Path], general_texts: Sequence[Path], without: set[str], size: RescorerConfig, spelled: int = 0
) -> Corpus:
    """Read all texts except those in `without`, and make `spelled` sentences of letters, digits and dates."""

    def is_allowed(words: Words) -> bool:
        return bool(words) and " ".join(words) not in without

    asked = [(passage, list(filter(is_allowed, questions))) for passage, questions in read_questions(texts)]
    asked = [(passage, questions) for passage, questions in asked if passage and questions]
    sentences = list(filter(is_allowed, read_transcripts(texts)))
    general = [line.split() for file in general_texts for line in read_sentences(file)]
    words = itertools.chain(itertools.chain.from_iterable(questions for _, questions in asked), sentences, general)
    counts = Counter(itertools.chain.from_iterable(words))
    if len(counts) < size.vocabulary - NUM_MARKS:
        raise InvalidArgument(
            f"the texts: expected at least {size.vocabulary - NUM_MARKS:,} different words, got {len(counts):,}"
        )
    vocabulary = Vocabulary([word for word, _ in counts.most_common(size.vocabulary - NUM_MARKS)], size.buckets)
    sentences += filter(is_allowed, make_spelled_sentences(vocabulary.words, spelled))
    return build_corpus(vocabulary, asked, sentences, general)


def make_spelled_sentences(words: Sequence[str], count: int, seed: int = 0) -> Iterator[list[str]]:
    """Spelled words, digits, letters mixed with digits, numbers and dates, 20 % each."""
    rng = np.random.default_rng(seed)

    def digits(length: int) -> list[str]:
        oh = rng.random() < 0.3
        return ["oh" if oh and digit == 0 else DIGITS[digit] for digit in rng.integers(0, 10, length)]

    for _ in range(count):
        kind, length = rng.integers(5), int(rng.integers(1, MOST_SYMBOLS + 1))
        if kind == 0:
            word = words[rng.integers(len(words))].replace("'", "")
            yield [word, *word] if rng.random() < 0.2 else list(word)
        elif kind == 1:
            yield digits(length)
        elif kind == 2:
            yield [ascii_lowercase[rng.integers(26)] if rng.random() < 0.6 else digits(1)[0] for _ in range(length)]
        elif kind == 3:
            yield spoken_form(str(int(10 ** rng.uniform(0, 6)))).split()
        else:
            date = f"{MONTHS[rng.integers(12)]} {rng.integers(1, 32)}"
            yield spoken_form(f"{date}, {rng.integers(1900, 2026)}" if rng.random() < 0.5 else date).split()


def build_corpus(
    vocabulary: Vocabulary,
    asked: Sequence[Asked],
    sentences: Iterable[Words] = (),
    general: Iterable[Words] = (),
) -> Corpus:
    """Encode texts with a vocabulary."""
    return Corpus(
        list(vocabulary.words),
        Texts.of(sentences, vocabulary),
        Texts.of(general, vocabulary),
        Texts.of([passage for passage, _ in asked], vocabulary),
        Texts.of([question for _, questions in asked for question in questions], vocabulary),
        np.repeat(np.arange(len(asked)), [len(questions) for _, questions in asked]),
    )


def build_parser() -> ArgumentParser:
    parser = make_parser("training.rescorer.corpus", __doc__)
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD files")
    parser.add_argument("--general-texts", type=Path, nargs="*", default=[], help="that books.py wrote")
    parser.add_argument(
        "--without", type=Path, nargs="*", default=[], help="manifests and SQuAD files whose texts are left out"
    )
    parser.add_argument("--spelled", type=int, default=60_000, help="sentences of letters, digits and dates to make")
    parser.add_argument("--out", type=Path, required=True, help="corpus.npz")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: Namespace) -> None:
    without = read_dev_texts(args.without)
    corpus = read_corpus(args.texts, args.general_texts, without, RescorerConfig(), args.spelled)
    corpus.save(args.out)
    kinds = [(name, texts) for name, texts in vars(corpus).items() if isinstance(texts, Texts)]
    sizes = [f"{len(texts.places):,} words of {name}" for name, texts in kinds]
    print(f"{args.out}: {', '.join(sizes)}; {len(corpus.questions):,} questions")


if __name__ == "__main__":
    sys.exit(main())
