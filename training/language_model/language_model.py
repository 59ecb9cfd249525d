"""Make the language model of beam search.

python -m training.language_model.language_model --texts FILES --out lm.arpa.gz

Reads text files and SQuAD files (questions and passages), in the form a listener writes down. A word that is not among
the most frequent is spelled letter by letter, so that the model knows every word. Questions of SQuAD are read twice,
the second time with `<context>` for every word that the passage holds and that is not of the most common: that is how
the model knows where in a question to expect words of the text it is about.
"""

import argparse
import gzip
import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from tqdm import tqdm

from convai.backends.steps.beam_search import COMMON_WORDS, CONTEXT_WORD, LETTER_MARK, spell
from convai.backends.steps.transcripts import speakable, transcript, words_of
from convai.program import run_program
from training.bert.squad import read_squad
from training.language_model.mixture import mixture
from training.language_model.ngrams import NgramModel, estimate
from training.language_model.sentences import read_sentences

_sentence_end = re.compile(r"[.?!]+(?: |$)")


def read_paragraphs(file: Path) -> list[dict]:
    """Passages with their questions, of a SQuAD file (.json or .json.gz); none of any other file."""
    if ".json" not in file.suffixes:
        return []
    return [paragraph for article in read_squad(file) for paragraph in article["paragraphs"]]


def read_transcripts(files: Iterable[Path]) -> Iterator[list[str]]:
    """The words of every sentence, each text split where a sentence ends."""
    for file in files:
        passages = (paragraph["context"] for paragraph in read_paragraphs(file))
        for text in tqdm(chain(read_sentences(file), passages), desc=file.name, mininterval=5):
            for sentence in _sentence_end.split(speakable(text)):
                if words := transcript(sentence).split():
                    yield words


def read_marked_questions(files: Iterable[Path], common_words: set[str]) -> Iterator[list[str]]:
    """The words of every question about a passage, those of the passage but for common ones marked as such."""
    for file in files:
        for paragraph in tqdm(read_paragraphs(file), desc=f"{file.name}, marked", mininterval=5):
            expected = words_of(paragraph["context"]) - common_words
            for entry in paragraph["qas"]:
                words = transcript(speakable(entry["question"])).split()
                yield [CONTEXT_WORD if word in expected else word for word in words]


def frequent_words(sentences: Iterable[list[str]], size: int, min_count: int = 1) -> set[str]:
    """The `size` most frequent words that occur at least `min_count` times."""
    counts = Counter(word for sentence in sentences for word in sentence)
    return {word for word, count in counts.most_common(size) if count >= min_count}


def spell_rare_words(sentence: Iterable[str], vocabulary: set[str]) -> list[str]:
    return [token for word in sentence for token in ([word] if word in vocabulary else spell(word))]


def penalise_letters(model: NgramModel, penalty: float) -> NgramModel:
    """Lower the log10 probability of each letter of a spelled word by `penalty`.

    A network is surer of mishearings than it should be; without the penalty they would pass for rare words.
    """
    is_letter = np.array([word.startswith(LETTER_MARK) for word in model.words])
    levels = [
        replace(level, log_probs=level.log_probs - penalty * is_letter[level.keys % len(model.words)])
        for level in model.levels
    ]
    return replace(model, levels=levels)


def write(model: NgramModel, arpa_file: Path) -> None:
    """Write the model, gzipped; the same model makes the same bytes."""
    with (
        arpa_file.open("wb") as binary,
        gzip.GzipFile("", "wb", 9, binary, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="ascii", newline="\n") as stream,
    ):
        model.write_arpa(stream)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.language_model.language_model", description=__doc__)
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD (.json, .json.gz) files")
    parser.add_argument("--words", type=int, default=40000, help="size of their vocabulary (default: 40000)")
    parser.add_argument("--min-word-count", type=int, default=3, help="rarer words are spelled (default: 3)")
    parser.add_argument(
        "--min-counts", type=int, nargs="+", default=[1, 2, 2], help="rarer n-grams are left out (default: 1 2 2)"
    )
    general = parser.add_argument_group("general English, mixed in")
    general.add_argument("--general-texts", type=Path, nargs="*", default=[], help="what books.py writes")
    general.add_argument("--general-share", type=float, default=0.4, help="of each probability (default: 0.4)")
    general.add_argument("--general-words", type=int, default=50000, help="size of their vocabulary (default: 50000)")
    general.add_argument(
        "--general-min-counts", type=int, nargs="+", default=[1, 6, 10], help="as above (default: 1 6 10)"
    )
    parser.add_argument(
        "--letter-penalty", type=float, default=0.5, help="against spelling, powers of ten per letter (default: 0.5)"
    )
    parser.add_argument("--out", type=Path, required=True, help="gzipped ARPA file")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    sentences = list(read_transcripts(args.texts))
    general = [sentence.split() for file in args.general_texts for sentence in read_sentences(file)]
    vocabulary = frequent_words(sentences, args.words, args.min_word_count)
    vocabulary |= frequent_words(general, args.general_words, args.min_word_count)
    marked = read_marked_questions(args.texts, frequent_words(sentences, COMMON_WORDS))
    model = estimated([*sentences, *filter(None, marked)], args.min_counts, vocabulary)
    if general:
        model = mixture(estimated(general, args.general_min_counts, vocabulary), model, args.general_share)
    write(penalise_letters(model, args.letter_penalty), args.out)
    sizes = ", ".join(f"{len(level.keys)} {order}-grams" for order, level in enumerate(model.levels, start=1))
    print(f"{args.out}: {sizes}, {args.out.stat().st_size / 1e6:.1f} MB")


def estimated(sentences: Iterable[list[str]], min_counts: Sequence[int], vocabulary: set[str]) -> NgramModel:
    """A model that spells every word beyond the vocabulary."""
    known = vocabulary | {CONTEXT_WORD}
    letters = spell(ascii_lowercase + "'")
    return estimate((spell_rare_words(words, known) for words in sentences), min_counts, known.union(letters))


if __name__ == "__main__":
    sys.exit(main())
