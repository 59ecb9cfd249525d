"""Makes the language model of the beam search.

    python -m training.language_model.language_model --texts FILES --out lm.arpa.gz

Reads text files and SQuAD files (questions and passages) in spoken form. Rare words are spelled letter by letter, so
the model knows every word. Questions of SQuAD are read twice, the second time with `<context>` for every word of the
passage that is not among the most common. So the model learns where in a question to expect words of the context.
"""

import re
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from tqdm import tqdm

from convai.backends.steps.beam_search import COMMON_WORDS, CONTEXT_WORD, LETTER_MARK, spelled
from convai.backends.steps.transcripts import speakable, transcript, words_of
from convai.program import run_program
from training.common.run import make_parser
from training.common.texts import read_paragraphs, read_sentences, write_gzip
from training.language_model.ngrams import NgramModel, estimate, mix

MIN_WORD_COUNT = 3  # rarer words are spelled
MIN_COUNTS = (1, 2, 2)  # of the n-grams of each order
GENERAL_SHARE = 0.4  # of each probability
GENERAL_WORDS = 50_000
GENERAL_MIN_COUNTS = (1, 6, 10)
LETTER_PENALTY = 0.5  # powers of ten per letter of a spelled word

_sentence_end = re.compile(r"[.?!]+(?: |$)")


def read_transcripts(files: Iterable[Path]) -> Iterator[list[str]]:
    """The words of every sentence of the texts."""
    for file in files:
        passages = (paragraph["context"] for paragraph in read_paragraphs(file))
        for text in tqdm(chain(read_sentences(file), passages), desc=file.name, mininterval=5):
            for sentence in _sentence_end.split(speakable(text)):
                if words := transcript(sentence).split():
                    yield words


def read_marked_questions(files: Iterable[Path], common_words: set[str]) -> Iterator[list[str]]:
    """The words of every question; less common words of its passage are replaced by `<context>`."""
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
    return [token for word in sentence for token in ([word] if word in vocabulary else spelled(word))]


def penalise_letters(model: NgramModel, penalty: float) -> NgramModel:
    """Lower the log10 probability of each letter of a spelled word by `penalty`.

    A network is overconfident about misrecognised words; without the penalty they pass for rare words.
    """
    is_letter = np.array([word.startswith(LETTER_MARK) for word in model.words])
    levels = [
        replace(level, log_probs=level.log_probs - penalty * is_letter[level.keys % len(model.words)])
        for level in model.levels
    ]
    return replace(model, levels=levels)


def write(model: NgramModel, arpa_file: Path) -> None:
    """Write the model, gzipped; the same model makes the same bytes."""
    with write_gzip(arpa_file) as stream:
        model.write_arpa(stream)


def build_parser() -> ArgumentParser:
    parser = make_parser("training.language_model.language_model", __doc__)
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD (.json, .json.gz) files")
    parser.add_argument("--words", type=int, default=40_000, help="size of their vocabulary (default: 40,000)")
    parser.add_argument(
        "--general-texts", type=Path, nargs="*", default=[], help="general English to mix in, that books.py wrote"
    )
    parser.add_argument("--out", type=Path, required=True, help="gzipped ARPA file")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: Namespace) -> None:
    sentences = list(read_transcripts(args.texts))
    general = [sentence.split() for file in args.general_texts for sentence in read_sentences(file)]
    vocabulary = frequent_words(sentences, args.words, MIN_WORD_COUNT)
    vocabulary |= frequent_words(general, GENERAL_WORDS, MIN_WORD_COUNT)
    marked = read_marked_questions(args.texts, frequent_words(sentences, COMMON_WORDS))
    model = estimate_with_spelling([*sentences, *filter(None, marked)], MIN_COUNTS, vocabulary)
    if general:
        model = mix(estimate_with_spelling(general, GENERAL_MIN_COUNTS, vocabulary), model, GENERAL_SHARE)
    write(penalise_letters(model, LETTER_PENALTY), args.out)
    sizes = ", ".join(f"{len(level.keys)} {order}-grams" for order, level in enumerate(model.levels, start=1))
    print(f"{args.out}: {sizes}, {args.out.stat().st_size / 1e6:.1f} MB")


def estimate_with_spelling(
    sentences: Iterable[list[str]], min_counts: Sequence[int], vocabulary: set[str]
) -> NgramModel:
    """Estimate a model that spells every word outside the vocabulary."""
    known = vocabulary | {CONTEXT_WORD}
    letters = spelled(ascii_lowercase + "'")
    return estimate((spell_rare_words(words, known) for words in sentences), min_counts, known.union(letters))


if __name__ == "__main__":
    sys.exit(main())
