"""Have texts spoken whole and as streams: what an independent listener understands of each. Package: moonshine-voice.

python -m benchmarks.quality.streamed_speech --texts dev-v1.1.json.gz --count 200 --json streamed.json
"""

import argparse
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

from convai.client.connection import DEFAULT_ADDRESS
from convai.errors import InvalidArgument
from convai.program import run_program

MAX_SYMBOLS = 560  # a longer text may not be spoken whole


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    # Imported here, because it takes seconds that `--help` need not wait for.
    import jiwer
    import numpy as np
    from tqdm import tqdm

    from benchmarks.quality.listener import Listener
    from convai.arrays import Array
    from convai.backends.steps.transcripts import spoken_form
    from convai.client.client import ConvaiClient
    from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ

    texts = drawn_texts(args)
    listener = Listener()
    with ConvaiClient(args.server) as client:
        ways: dict[str, Callable[[str], Array]] = {
            "whole": lambda text: np.asarray(client.speak(text).answer_audio),
            "streamed": lambda text: np.concatenate([chunk.answer_audio for chunk in client.speak_stream(text)]),
        }
        heard: dict[str, list[str]] = {way: [] for way in ways}
        seconds = dict.fromkeys(ways, 0.0)
        for text in tqdm(texts, disable=None):
            for way, speak in ways.items():
                audio = speak(text)
                heard[way].append(listener(audio, VOICE_SAMPLE_RATE_HERTZ))
                seconds[way] += len(audio) / VOICE_SAMPLE_RATE_HERTZ
    said = [spoken_form(text) for text in texts]
    rates = {way: 100 * jiwer.wer(said, heard[way]) for way in ways}
    for way in ways:
        print(f"{way:9} {rates[way]:5.1f} % of the words wrong, {seconds[way]:.0f} s")
    print(f"ratio     {rates['streamed'] / rates['whole']:5.2f}, over {len(texts)} texts")
    if args.json:
        record = {"texts": len(texts), "word_error_percent": rates, "seconds": seconds}
        listed = [{"text": text, **{way: heard[way][i] for way in ways}} for i, text in enumerate(texts)]
        args.json.write_text(json.dumps(record | {"heard": listed}, indent=1) + "\n", encoding="utf-8")


def drawn_texts(args: argparse.Namespace) -> list[str]:
    """Texts of more words than `args.above_words`, short enough to be spoken whole."""
    from convai.backends.steps.text_normalizer import normalize
    from training.common.texts import read_texts

    texts = [text for file in args.texts for kind in read_texts(file).values() for text in kind]
    usable = [text for text in texts if len(text.split()) > args.above_words and len(normalize(text)) <= MAX_SYMBOLS]
    if len(usable) < args.count:
        raise InvalidArgument(f"--texts: got {len(usable)} texts of usable length; --count wants {args.count}")
    return random.Random(args.seed).sample(usable, args.count)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamed_speech", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD files, not learnt from")
    parser.add_argument("--count", type=int, default=200, help="how many texts to draw, default %(default)s")
    parser.add_argument("--above-words", type=int, default=15, help="texts of more words, default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other texts")
    parser.add_argument("--server", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and what was heard there too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
