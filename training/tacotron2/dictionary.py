"""Write down how the teacher says words: python -m training.tacotron2.dictionary --texts FILES --out FILE

The file has CMUdict's format, gzipped; serving reads it as the parameter pronunciations_file of text_encoder. A word
gets the pronunciation it most often has in running text ("the" is "DH AH0"), a word not met there the one it has alone.
Package: hibari-tts.
"""

import argparse
import gzip
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from convai.backends.steps.pronunciations import WORD
from convai.backends.steps.text_normalizer import normalise_text
from convai.program import run_program
from training.tacotron2.phonemes import arpabet
from training.tacotron2.texts import draw_texts, read_texts

_word = re.compile(WORD)
HEADER = "# How the package hibari-tts (Apache-2.0; its lexicon is misaki's, Apache-2.0) reads these words."


def words_of(files: list[Path], min_count: int) -> list[str]:
    """Words that occur at least so often."""
    counts = Counter()
    for file in files:
        for texts in read_texts(file).values():
            for text in texts:
                counts.update(_word.findall(text.lower().replace("’", "'")))
    return [word for word, count in counts.items() if count >= min_count]


def words_of_lexicon() -> set[str]:
    """Words that somebody wrote a pronunciation down for."""
    from hibari.g2p import _load_json  # pyright: ignore[reportPrivateUsage] # no other way to its words

    entries = [word.lower() for part in ("gold", "silver") for word in _load_json(f"lexicon_us_{part}.json.gz")]
    return {word for word in entries if _word.fullmatch(word)}


def in_running_text(g2p, texts: Iterable[str]) -> dict[str, str]:
    """The most frequent pronunciation of every word in normalised texts."""
    heard = defaultdict(Counter)
    for text in texts:
        for token in g2p.phonemize_tokens(g2p.tokenize(text)):
            if _word.fullmatch(token.text) and (pronunciation := arpabet(token.phonemes or "")):
                heard[token.text][pronunciation] += 1
    return {word: counts.most_common(1)[0][0] for word, counts in heard.items()}


def alone(g2p, words: Iterable[str]) -> dict[str, str]:
    """The pronunciation of each word by itself; words with sounds that ARPAbet lacks are left out."""
    spoken = ((word, arpabet(g2p(word, normalize_text=False))) for word in words)
    return {word: pronunciation for word, pronunciation in spoken if pronunciation}


def write(file: Path, lines: Iterable[str]) -> None:
    """Write the dictionary, gzipped; the same words make the same bytes."""
    with open(file, "wb") as binary, gzip.GzipFile("", "wb", 9, binary, mtime=0) as packed:
        packed.write("\n".join([HEADER, *lines, ""]).encode())


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--texts", type=Path, nargs="+", required=True, help="text files or SQuAD files (.json, .json.gz)"
    )
    parser.add_argument("--sentences", type=int, default=20_000, help="how many to read for words in running text")
    parser.add_argument(
        "--min-count",
        type=int,
        default=2,
        help="leave out words that are rarer than this in the texts and stand in no lexicon",
    )
    parser.add_argument("--out", type=Path, required=True, help="gzipped file to write")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    from hibari.g2p import G2P

    g2p = G2P()
    sentences = draw_texts(args.texts, args.sentences, 40, random.Random(0))
    pronunciations = in_running_text(g2p, tqdm(map(normalise_text, sentences), total=len(sentences), mininterval=10))
    words = words_of_lexicon().union(words_of(args.texts, args.min_count))
    rest = sorted(words - pronunciations.keys())
    pronunciations |= alone(g2p, tqdm(rest, mininterval=10))
    lines = [f"{word}  {pronunciation}" for word, pronunciation in sorted(pronunciations.items())]
    write(args.out, lines)
    print(f"{len(lines)} words written to {args.out}")


if __name__ == "__main__":
    sys.exit(main())
