"""Texts for the rescorer, as places of words in one file:

python -m training.rescorer.corpus --texts train-v1.1.json.gz *.txt --general-texts books.txt --out corpus.npz

Of SQuAD files (.json, .json.gz) the questions are read twice: with the passage they are about, and among the sentences
without one, as the passages' own are.
"""

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convai.backends.steps.rescorer import NUM_MARKS, Vocabulary
from convai.backends.steps.transcripts import speakable, spoken_form, transcript
from convai.errors import InvalidArgument, reading
from convai.program import run_program
from training.language_model.books import measured_texts
from training.language_model.language_model import read_paragraphs, read_transcripts
from training.language_model.sentences import read_sentences
from training.rescorer.model import RescorerConfig
from training.rescorer.spelled import spelled_sentences

Words = Sequence[str]
Asked = tuple[Words, Sequence[Words]]  # a passage and its questions


@dataclass(frozen=True)
class Texts:
    """Many texts in one row.

    Attributes
    ----------
    places : int32, shape = (words,)
    letters : uint8, shape = (words,): how many each word has
    ends : int64, shape = (texts,): where each text ends
    """

    places: np.ndarray
    letters: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, texts: Iterable[Words], vocabulary: Vocabulary) -> "Texts":
        texts = list(texts)
        words = list(itertools.chain.from_iterable(texts))
        letters = np.minimum([len(word) for word in words], 255).astype(np.uint8)
        return cls(vocabulary.word_ids(words).astype(np.int32), letters, np.cumsum([len(text) for text in texts]))

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
    owners : int64, shape = (questions,): the passage of each
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


def corpus_of(
    texts: Sequence[Path], general_texts: Sequence[Path], without: set[str], size: RescorerConfig, spelled: int = 0
) -> Corpus:
    """`spelled` sentences are made and not read: they hold letters, digits and dates."""

    def admitted(words: Words) -> bool:
        return bool(words) and " ".join(words) not in without

    asked = [(passage, list(filter(admitted, questions))) for passage, questions in read_questions(texts)]
    asked = [(passage, questions) for passage, questions in asked if passage and questions]
    sentences = list(filter(admitted, read_transcripts(texts)))
    general = [line.split() for file in general_texts for line in read_sentences(file)]
    words = itertools.chain(itertools.chain.from_iterable(questions for _, questions in asked), sentences, general)
    counts = Counter(itertools.chain.from_iterable(words))
    if len(counts) < size.vocabulary - NUM_MARKS:
        raise InvalidArgument(f"the texts hold {len(counts):,} words; needed are {size.vocabulary - NUM_MARKS:,}")
    vocabulary = Vocabulary([word for word, _ in counts.most_common(size.vocabulary - NUM_MARKS)], size.buckets)
    sentences += filter(admitted, spelled_sentences(vocabulary.words, spelled))
    return joined(vocabulary, asked, sentences, general)


def joined(
    vocabulary: Vocabulary, asked: Sequence[Asked], sentences: Iterable[Words] = (), general: Iterable[Words] = ()
) -> Corpus:
    """A corpus whose words are places of a vocabulary."""
    return Corpus(
        list(vocabulary.words),
        Texts.of(sentences, vocabulary),
        Texts.of(general, vocabulary),
        Texts.of([passage for passage, _ in asked], vocabulary),
        Texts.of([question for _, questions in asked for question in questions], vocabulary),
        np.repeat(np.arange(len(asked)), [len(questions) for _, questions in asked]),
    )


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.rescorer.corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD files")
    parser.add_argument("--general-texts", type=Path, nargs="*", default=[], help="what books.py wrote")
    parser.add_argument(
        "--without", type=Path, nargs="*", default=[], help="manifests and SQuAD files: no text is one of theirs"
    )
    parser.add_argument("--spelled", type=int, default=60_000, help="sentences of letters, digits, dates to make")
    parser.add_argument("--out", type=Path, required=True, help="corpus.npz")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    without = measured_texts(args.without)
    corpus = corpus_of(args.texts, args.general_texts, without, RescorerConfig(), args.spelled)
    corpus.save(args.out)
    kinds = [(name, texts) for name, texts in vars(corpus).items() if isinstance(texts, Texts)]
    sizes = [f"{len(texts.places):,} words of {name}" for name, texts in kinds]
    print(f"{args.out}: {', '.join(sizes)}; {len(corpus.questions):,} questions")


if __name__ == "__main__":
    sys.exit(main())
