"""Writes a pronunciation dictionary of the teacher's words.

    python -m training.tacotron2.dictionary --texts FILES --out FILE

The file has CMUdict's format, gzipped; text_encoder reads it as the parameter pronunciations_file. A word gets its most
frequent pronunciation in sentences ("the" is "DH AH0"), or its pronunciation in isolation. Package: hibari-tts.
"""

import random
import re
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from convai.backends.steps.pronunciations import WORD
from convai.program import run_program
from convai.text.text_normalizer import normalise_text
from training.common.run import make_parser
from training.common.texts import draw_texts, read_texts, write_gzip
from training.tacotron2.teacher import to_arpabet

SENTENCES, MAX_WORDS = 20_000, 40  # read for pronunciations in sentences
MIN_COUNT = 2  # of a word that the lexicon lacks

_word = re.compile(WORD)
HEADER = "# How the package hibari-tts (Apache-2.0; its lexicon is misaki's, Apache-2.0) reads these words."


def read_frequent_words(files: list[Path]) -> list[str]:
    """Words that occur at least MIN_COUNT times."""
    counts = Counter()
    for file in files:
        for texts in read_texts(file).values():
            for text in texts:
                counts.update(_word.findall(text.lower().replace("’", "'")))
    return [word for word, count in counts.items() if count >= MIN_COUNT]


def read_lexicon_words() -> set[str]:
    """Words of the teacher's own lexicon."""
    from hibari.g2p import _load_json  # pyright: ignore[reportPrivateUsage] # no other way to its words

    entries = [word.lower() for part in ("gold", "silver") for word in _load_json(f"lexicon_us_{part}.json.gz")]
    return {word for word in entries if _word.fullmatch(word)}


def pronounce_in_sentences(g2p, texts: Iterable[str]) -> dict[str, str]:
    """The most frequent pronunciation of each word of normalised texts."""
    pronunciations = defaultdict(Counter)
    for text in texts:
        for token in g2p.phonemize_tokens(g2p.tokenize(text)):
            if _word.fullmatch(token.text) and (pronunciation := to_arpabet(token.phonemes or "")):
                pronunciations[token.text][pronunciation] += 1
    return {word: counts.most_common(1)[0][0] for word, counts in pronunciations.items()}


def pronounce_alone(g2p, words: Iterable[str]) -> dict[str, str]:
    """The pronunciation of each word in isolation; words with sounds that ARPAbet lacks are left out."""
    spoken = ((word, to_arpabet(g2p(word, normalize_text=False))) for word in words)
    return {word: pronunciation for word, pronunciation in spoken if pronunciation}


def build_parser() -> ArgumentParser:
    parser = make_parser("training.tacotron2.dictionary", __doc__)
    parser.add_argument(
        "--texts", type=Path, nargs="+", required=True, help="text files or SQuAD files (.json, .json.gz)"
    )
    parser.add_argument("--out", type=Path, required=True, help="gzipped file to write")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: Namespace) -> None:
    from hibari.g2p import G2P

    g2p = G2P()
    sentences = draw_texts(args.texts, SENTENCES, MAX_WORDS, random.Random(0))
    normalised = tqdm(map(normalise_text, sentences), total=len(sentences), mininterval=10)
    pronunciations = pronounce_in_sentences(g2p, normalised)
    words = read_lexicon_words().union(read_frequent_words(args.texts))
    rest = sorted(words - pronunciations.keys())
    pronunciations |= pronounce_alone(g2p, tqdm(rest, mininterval=10))
    lines = [f"{word}  {pronunciation}" for word, pronunciation in sorted(pronunciations.items())]
    with write_gzip(args.out) as stream:
        stream.write("\n".join([HEADER, *lines, ""]))
    print(f"{len(lines)} words written to {args.out}")


if __name__ == "__main__":
    sys.exit(main())
