"""Makes training speech.

    python -m training.voices.synthesize --texts FILE --voice flite:slt --out DIR

Writes FLAC files of 16 kHz and a manifest.jsonl with one line per clip: audio, text, speaker, seconds, sample_rate.
"""

import json
import random
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from convai.backends.steps.transcripts import speakable, transcript
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.program import run_program
from training.common.run import make_parser
from training.common.texts import read_sentences
from training.voices.voices import speak

PEAK = 0.7
TEMPO_RANGE = (0.85, 1.25)
SCALE_RANGE = (0.86, 1.16)  # of pitch and formants together: a smaller or a larger speaker


def build_parser() -> ArgumentParser:
    parser = make_parser("training.voices.synthesize", __doc__)
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD (.json, .json.gz) files")
    parser.add_argument("--voice", nargs="+", required=True, dest="voices", help="engine:voice; clips rotate over them")
    parser.add_argument("--clips", type=int, default=1000, help="how many clips to make")
    parser.add_argument("--longest", type=int, default=90, help="longest sentence in characters")
    parser.add_argument("--plain", action="store_true", help="keep each voice's own tempo and pitch (for evaluation)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def choose_sentences(files: list[Path], count: int, longest: int, rng: random.Random) -> list[str]:
    """Draw `count` sentences, equally many from each file; `longest` is in characters of the spoken form."""
    chosen = []
    for file in files:
        usable = [text for line in read_sentences(file) if 0 < len(text := speakable(line)) <= longest]
        rng.shuffle(usable)
        chosen += usable[: -(-count // len(files))]
    rng.shuffle(chosen)
    return chosen[:count]


def speak_varied(voice: str, sentence: str, rng: random.Random) -> np.ndarray:
    """Say a sentence at 16 kHz with a random tempo, and pitch and formants changed by resampling."""
    scale = rng.uniform(*SCALE_RANGE)
    audio, sample_rate_hertz = speak(voice, sentence, rng.uniform(*TEMPO_RANGE) / scale)
    return soxr.resample(audio, sample_rate_hertz * scale, SAMPLE_RATE_HERTZ)


def speak_plain(voice: str, sentence: str) -> np.ndarray:
    """Say a sentence at 16 kHz with the voice's own tempo and pitch."""
    audio, sample_rate_hertz = speak(voice, sentence)
    return soxr.resample(audio, sample_rate_hertz, SAMPLE_RATE_HERTZ)


def save_clip(folder: Path, name: str, audio: np.ndarray, sentence: str, voice: str) -> dict:
    """Write one FLAC file, and return its line of the manifest."""
    audio = audio * (PEAK / max(np.abs(audio).max(), 1e-3))
    soundfile.write(folder / name, audio, SAMPLE_RATE_HERTZ, subtype="PCM_16")
    return {
        "audio": name,
        "text": transcript(sentence),
        "speaker": voice,
        "seconds": round(len(audio) / SAMPLE_RATE_HERTZ, 2),
        "sample_rate": SAMPLE_RATE_HERTZ,
    }


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: Namespace) -> None:
    rng = random.Random(args.seed)
    sentences = choose_sentences(args.texts, args.clips, args.longest, rng)
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.out / "manifest.jsonl", "w", encoding="utf-8") as manifest:
        for index, sentence in enumerate(tqdm(sentences, mininterval=10)):
            voice = args.voices[index % len(args.voices)]
            try:
                audio = speak_plain(voice, sentence) if args.plain else speak_varied(voice, sentence, rng)
            except (subprocess.SubprocessError, soundfile.LibsndfileError) as error:
                print(f"{voice} cannot say {sentence!r}: {error}", file=sys.stderr)
                continue
            line = save_clip(args.out, f"{index:06d}.flac", audio, sentence, voice)
            print(json.dumps(line), file=manifest, flush=True)


if __name__ == "__main__":
    sys.exit(main())
