"""Makes speech for Tacotron 2 and WaveGlow.

    python -m training.tacotron2.synthesize --texts FILES --dictionary FILE --out DIR

Writes FLAC files of 22,050 Hz and a manifest.jsonl with one line per clip: audio, text, spoken (the symbols), ends
(second at which each symbol ends), seconds, sample_rate. Continues where an earlier run with the same options stopped.
Package: hibari-tts.
"""

import json
import random
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

import soundfile
from tqdm import tqdm

from convai.backends.steps.pronunciations import load_pronunciations, pronounce
from convai.backends.steps.text_encoder import TextEncoder
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from convai.generator.targets import CPU
from convai.program import run_program
from training.common.run import make_parser
from training.common.texts import draw_texts
from training.tacotron2.teacher import Teacher

UNKNOWN_WORD_SHARE = 0.06  # of the words that the dictionary knows
CLIPS_PER_FOLDER = 1000


def prepare_text(text: str, pronunciations: Mapping[str, str], rng: random.Random) -> str:
    """Prepare a text as serving does, but leave some known words in letters.

    From these the network learns to read names that the dictionary lacks.
    """
    letters = TextEncoder(**CPU.buckets.parameters_of("text_encoder")).spoken(text)
    words = set(re.findall(r"[a-z']+", letters))
    known = {word: pronunciations[word] for word in sorted(words & pronunciations.keys())
                  if rng.random() >= UNKNOWN_WORD_SHARE}  # fmt: skip
    return pronounce(letters, known)


def make_clip(teacher: Teacher, text: str, spoken: str, folder: Path, number: int) -> dict:
    """Say one text and write its FLAC file; returns its line of the manifest."""
    speech = teacher.say(spoken, seed=number)
    file = Path(f"{number // CLIPS_PER_FOLDER:03}") / f"{number:06}.flac"
    (folder / file.parent).mkdir(exist_ok=True)
    soundfile.write(folder / file, speech.audio, VOICE_SAMPLE_RATE_HERTZ, subtype="PCM_16")
    return {
        "audio": str(file),
        "text": text,
        "spoken": spoken,
        "ends": speech.ends,
        "seconds": round(speech.seconds, 3),
        "sample_rate": VOICE_SAMPLE_RATE_HERTZ,
    }


def build_parser() -> ArgumentParser:
    parser = make_parser("training.tacotron2.synthesize", __doc__)
    parser.add_argument(
        "--texts", type=Path, nargs="+", required=True, help="text files or SQuAD files (.json, .json.gz)"
    )
    parser.add_argument(
        "--dictionary", type=Path, required=True, help="pronunciations that training.tacotron2.dictionary wrote"
    )
    parser.add_argument("--clips", type=int, default=4000, help="how many clips to make (4,000 are about five hours)")
    parser.add_argument("--max-words", type=int, default=40, help="longest text in words")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: Namespace) -> None:
    texts = draw_texts(args.texts, args.clips, args.max_words, random.Random(args.seed))
    pronunciations = load_pronunciations(str(args.dictionary))
    args.out.mkdir(parents=True, exist_ok=True)
    manifest = args.out / "manifest.jsonl"
    done = read_last_number(manifest) + 1
    teacher = Teacher()
    with open(manifest, "a", encoding="utf-8") as lines:
        for number in tqdm(range(done, len(texts)), mininterval=10):
            try:
                spoken = prepare_text(texts[number], pronunciations, random.Random(f"{args.seed} {number}"))
                line = make_clip(teacher, texts[number], spoken, args.out, number)
            except InvalidArgument as error:
                print(f"{texts[number]!r} is left out: {error}", file=sys.stderr)
                continue
            print(json.dumps(line), file=lines, flush=True)


def read_last_number(manifest: Path) -> int:
    """Number of the last clip in the manifest; -1 if there is none."""
    lines = manifest.read_text(encoding="utf-8").splitlines() if manifest.exists() else []
    return int(Path(json.loads(lines[-1])["audio"]).stem) if lines else -1


if __name__ == "__main__":
    sys.exit(main())
