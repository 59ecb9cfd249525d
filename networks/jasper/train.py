"""Train Jasper: python -m convai.networks.jasper.train --manifest hibari/manifest.jsonl an4/manifest.jsonl --out DIR

Writes to DIR: log.jsonl (loss; word error rate of every --dev set), state.pt (to go on with --resume) and
jasper.safetensors (averaged weights, FP16). networks/jasper/synthesize.py makes speech to train on.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import jiwer
import torch

from convai.backends.glue.ctc_decoder import greedy_decode
from convai.generator.pipeline import LABELS
from convai.networks.jasper.augment import AugmentConfig
from convai.networks.jasper.data import SERVED_FEATURES, Clip, is_held_out, read_clips
from convai.networks.jasper.model import Jasper
from convai.networks.jasper.recipe import Recipe
from convai.networks.jasper.training import Training, pad

STEPS_PER_LOG_LINE = 25
CLIPS_PER_DEV_BATCH = 8


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, nargs="+", required=True, help="manifest.jsonl files to train on")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="likewise, less a tenth of the speakers")
    parser.add_argument("--real-scales", type=float, nargs="*", default=[1.0], help="speeds at which --real is heard")
    parser.add_argument("--dev", type=Path, nargs="*", default=[], help="manifest.jsonl files to measure on")
    parser.add_argument("--dev-clips", type=int, default=80, help="clips measured per set")
    parser.add_argument("--out", type=Path, required=True, help="folder for log, state and weights")
    parser.add_argument("--cache", type=Path, help="folder for log-mels (default: OUT/cache)")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="optimiser steps in all, earlier runs included")
    parser.add_argument("--rate", type=float, default=Recipe.peak_rate, help="highest learning rate")
    parser.add_argument("--augmentation", type=float, default=1.0, help="share of rooms, noises and masks, 0 to 1")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop, ready to resume, after so long")
    parser.add_argument("--minutes-between-checks", type=float, default=6.0, help="minutes between checkpoints")
    parser.add_argument("--threads", type=int, default=1)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on from OUT/state.pt")
    start.add_argument("--init", type=Path, help="start from these weights, such as weights/jasper.safetensors")
    return parser


def read_training_clips(args: argparse.Namespace, cache: Path) -> list[Clip]:
    clips = [clip for manifest in args.manifest for clip in read_clips(manifest, cache)]
    for manifest in args.real:
        for scale in args.real_scales:
            clips += [clip for clip in read_clips(manifest, cache, scale) if not is_held_out(clip.speaker)]
    return [clip for clip in clips if clip.text]


def read_dev_sets(args: argparse.Namespace, cache: Path) -> dict[str, list[Clip]]:
    """Every --dev set by the name of its folder, and the speakers kept out of --real as "real"."""
    sets = {manifest.parent.name: read_clips(manifest, cache)[: args.dev_clips] for manifest in args.dev}
    if args.real:
        kept_out = [clip for manifest in args.real for clip in read_clips(manifest, cache) if is_held_out(clip.speaker)]
        sets["real"] = kept_out[:: max(1, len(kept_out) // args.dev_clips)]
    return sets


@torch.inference_mode()
def word_error_rate(network: Jasper, clips: list[Clip]) -> float:
    """Word error rate of greedy decoding, 0 to 1 and above; features are normalised as serving does."""
    by_length = sorted(clips, key=lambda clip: clip.frames)
    heard = []
    for start in range(0, len(by_length), CLIPS_PER_DEV_BATCH):
        batch = by_length[start : start + CLIPS_PER_DEV_BATCH]
        log_probs, length = network(*pad([SERVED_FEATURES.normalized(clip.log_mel.astype("float32").T) for clip in batch]))
        heard += [
            greedy_decode(row[:frames], LABELS)
            for row, frames in zip(log_probs.numpy(), length[:, 0].tolist(), strict=True)
        ]
    return jiwer.wer([clip.text for clip in by_length], heard)


class Log:
    """Prints a line and appends it to a file, as JSON."""

    def __init__(self, file: Path):
        self.file = file
        self.start = time.monotonic()

    def __call__(self, **fields) -> None:
        line = json.dumps({"minutes": round((time.monotonic() - self.start) / 60, 2), **fields})
        print(line, flush=True)
        with open(self.file, "a", encoding="utf-8") as stream:
            print(line, file=stream)


def check(training: Training, dev_sets: dict[str, list[Clip]], out: Path, log: Log) -> None:
    """Measure the averaged weights, then save state and weights."""
    rates = {name: round(word_error_rate(training.average, clips), 4) for name, clips in dev_sets.items()}
    log(step=training.steps_done, epoch=training.epoch, word_error_rate=rates)
    training.save(out / "state.pt")
    training.export(out / "jasper.safetensors")


def run(training: Training, dev_sets: dict[str, list[Clip]], out: Path, minutes: float, minutes_between: float) -> None:
    """Train until the recipe's steps or the minutes are over."""
    log = Log(out / "log.jsonl")
    started = checked = time.monotonic()
    losses: list[float] = []
    while training.steps_done < training.recipe.steps and time.monotonic() - started < 60 * minutes:
        losses.append(training.step())
        if training.steps_done % STEPS_PER_LOG_LINE == 0:
            log(step=training.steps_done, epoch=training.epoch, loss=round(sum(losses) / len(losses), 4))
            losses.clear()
        if time.monotonic() - checked > 60 * minutes_between:
            check(training, dev_sets, out, log)
            checked = time.monotonic()
    check(training, dev_sets, out, log)


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    args.out.mkdir(parents=True, exist_ok=True)
    cache = args.cache or args.out / "cache"
    clips, dev_sets = read_training_clips(args, cache), read_dev_sets(args, cache)
    hours = sum(clip.frames for clip in clips) / 360_000
    print(f"{len(clips)} clips, {hours:.1f} hours; dev sets: {', '.join(dev_sets) or 'none'}")
    recipe = replace(Recipe(), steps=args.steps, peak_rate=args.rate)
    training = Training(recipe, clips, AugmentConfig().weakened(args.augmentation))
    if args.resume:
        training.resume(args.out / "state.pt")
    if args.init:
        training.start_from(args.init)
    run(training, dev_sets, args.out, args.minutes, args.minutes_between_checks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
