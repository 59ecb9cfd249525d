"""Train Jasper: python -m training.jasper.train --manifest hibari/manifest.jsonl an4/manifest.jsonl --out DIR

Writes to DIR: log.jsonl (loss; word error rate of every --dev set), state.pt (to go on with --resume) and
jasper.safetensors (averaged weights, FP16). networks/jasper/synthesize.py makes speech to train on.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import torch

from convai.backends.steps.ctc_decoder import greedy_decode
from convai.backends.steps.speech_features import FRAMES_PER_SECOND
from convai.description.pipeline import LABELS
from convai.networks.jasper.config import CONFIGS
from convai.networks.jasper.model import Jasper
from convai.program import run_program
from training.common import run as training_run
from training.jasper.augment import AugmentConfig
from training.jasper.data import SERVED_FEATURES, Clip, is_held_out, read_clips
from training.jasper.recipe import Recipe
from training.jasper.training import pad, training_of

CLIPS_PER_DEV_BATCH = 8
SPEED_RANGE = (0.86, 1.16)  # of real recordings


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--manifest", type=Path, nargs="+", required=True, help="manifest.jsonl files to train on")
    parser.add_argument(
        "--real",
        type=manifest_and_copies,
        nargs="*",
        default=[],
        metavar="FILE[:COPIES]",
        help="likewise, less a tenth of the speakers; copies are heard at speeds spread over 0.86 to 1.16",
    )
    parser.add_argument("--noise", type=Path, nargs="*", default=[], help="manifest.jsonl files of recorded noise")
    parser.add_argument("--size", default=Recipe.size, choices=CONFIGS, help="default %(default)s")
    parser.add_argument("--batch-seconds", type=float, default=Recipe.batch_seconds, help="default %(default)g")
    parser.add_argument("--dev", type=Path, nargs="*", default=[], help="manifest.jsonl files to measure on")
    parser.add_argument("--dev-clips", type=int, default=80, help="clips measured per set")
    parser.add_argument("--cache", type=Path, help="folder for log-mels (default: OUT/cache)")
    parser.add_argument("--augmentation", type=float, default=1.0, help="share of rooms, noises and masks, 0 to 1")
    training_run.add_arguments(parser, Recipe().schedule)
    return parser


def read_training_clips(args: argparse.Namespace, cache: Path) -> list[Clip]:
    clips = [clip for manifest in args.manifest for clip in read_clips(manifest, cache)]
    for manifest, copies in args.real:
        for scale in speeds(copies):
            clips += [clip for clip in read_clips(manifest, cache, scale) if not is_held_out(clip.speaker)]
    return [clip for clip in clips if clip.text]


def read_dev_sets(args: argparse.Namespace, cache: Path) -> dict[str, list[Clip]]:
    """Every --dev set by the name of its folder."""
    return {manifest.parent.name: read_clips(manifest, cache)[: args.dev_clips] for manifest in args.dev}


def manifest_and_copies(argument: str) -> tuple[Path, int]:
    """A manifest and how many copies of it to hear: `an4/manifest.jsonl:4`; one if nothing else is said."""
    file, separator, copies = argument.rpartition(":")
    if not separator:
        return Path(argument), 1
    if not copies.isdigit() or int(copies) < 1:
        raise argparse.ArgumentTypeError(f"copies of {file} must be a whole number of at least 1, got {copies!r}")
    return Path(file), int(copies)


def speeds(copies: int) -> list[float]:
    """Speeds that lie evenly in SPEED_RANGE; one copy is heard in the middle."""
    return [round(float(speed), 3) for speed in np.linspace(*SPEED_RANGE, 2 * copies + 1)[1::2]]


@torch.inference_mode()
def word_error_rate(network: Jasper, clips: list[Clip]) -> float:
    """Word error rate of greedy decoding, 0 to 1 and above; features are normalised as serving does."""
    by_length = sorted(clips, key=lambda clip: clip.frames)
    heard = []
    for start in range(0, len(by_length), CLIPS_PER_DEV_BATCH):
        batch = by_length[start : start + CLIPS_PER_DEV_BATCH]
        log_probs, length = network(
            *pad([SERVED_FEATURES.normalise(clip.log_mel.astype("float32").T) for clip in batch])
        )
        heard += [
            greedy_decode(row[:frames], LABELS)
            for row, frames in zip(log_probs.numpy(), length[:, 0].tolist(), strict=True)
        ]
    return jiwer.wer([clip.text for clip in by_length], heard)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    training_run.prepare(args)
    cache = args.cache or args.out / "cache"
    clips, dev_sets = read_training_clips(args, cache), read_dev_sets(args, cache)
    hours = sum(clip.frames for clip in clips) / FRAMES_PER_SECOND / 3600
    print(f"{len(clips)} clips, {hours:.1f} hours; dev sets: {', '.join(dev_sets) or 'none'}")
    recipe = Recipe(size=args.size, batch_seconds=args.batch_seconds)
    recipe = replace(recipe, schedule=training_run.chosen(recipe.schedule, args))
    noises = [clip for manifest in args.noise for clip in read_clips(manifest, cache)]
    training = training_of(recipe, clips, AugmentConfig().weakened(args.augmentation), noises)
    training_run.run(
        training,
        args,
        "jasper",
        recipe.size,
        lambda network: {name: round(word_error_rate(network, dev), 4) for name, dev in dev_sets.items()},
    )


if __name__ == "__main__":
    sys.exit(main())
