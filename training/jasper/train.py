"""Trains Jasper.

    python -m training.jasper.train --manifest hibari/manifest.jsonl --real an4/manifest.jsonl:3 --out DIR

Writes to DIR: log.jsonl (loss; word error rate of every --dev set), state.pt (for --resume) and jasper.safetensors
(averaged weights, FP16). training.voices.synthesize makes speech to train on.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jiwer
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convai.backends.steps.ctc_decoder import greedy_decode
from convai.backends.steps.speech_features import FRAMES_PER_SECOND
from convai.description.pipeline import LABELS, NUM_FEATURES
from convai.networks.jasper.config import CONFIGS
from convai.networks.jasper.model import Jasper
from convai.program import run_program
from training.common.batches import Batches, BatchLimits
from training.common.device import move
from training.common.run import Run, make_training_parser, train
from training.common.training import Recipe, Schedule, Training
from training.jasper.augment import AugmentConfig, augment
from training.jasper.data import Clip, is_held_out, read_clips, served_features
from training.jasper.optimizer import MuonAndAdamW

DEV_CLIPS, CLIPS_PER_DEV_BATCH = 80, 8  # measured per set
SPEED_RANGE = (0.86, 1.16)  # of real recordings
FRAMES_MULTIPLE = 32  # few distinct shapes: each new one costs the convolution library a set-up


@dataclass(frozen=True)
class JasperRecipe(Recipe):
    """
    With CTC, a network outputs only blanks for some hundred steps. Short clips in small batches shorten that; hence the
    limits of the first steps.
    """

    schedule: Schedule = Schedule(steps=20_000, peak_rate=2e-3, decay_share=0.4, weight_decay=1e-2, average_decay=0.997)
    size: str = "small"
    first_steps: int = 600
    first_batch_seconds: float = 20.0
    first_longest_seconds: float = 2.6
    batch_seconds: float = 128.0  # Muon takes as long for a small batch as for a large one
    longest_seconds: float = 20.0


def build_parser() -> ArgumentParser:
    parser = make_training_parser("training.jasper.train", __doc__, JasperRecipe())
    parser.add_argument("--manifest", type=Path, nargs="+", required=True, help="manifest.jsonl files to train on")
    parser.add_argument(
        "--real",
        type=parse_manifest_and_copies,
        nargs="*",
        default=[],
        metavar="FILE[:COPIES]",
        help="likewise, without 10 %% of the speakers; the copies have speeds spread over 0.86 to 1.16",
    )
    parser.add_argument("--noise", type=Path, nargs="*", default=[], help="manifest.jsonl files of recorded noise")
    parser.add_argument("--size", default=JasperRecipe.size, choices=CONFIGS, help="default %(default)s")
    parser.add_argument("--batch-seconds", type=float, default=JasperRecipe.batch_seconds, help="default %(default)g")
    parser.add_argument(
        "--dev", type=Path, nargs="*", default=[], help="manifest.jsonl files, of which 80 clips are measured"
    )
    parser.add_argument("--cache", type=Path, help="folder for log-mels (default: OUT/cache)")
    parser.add_argument("--augmentation", type=float, default=1.0, help="share of rooms, noises and masks, 0 to 1")
    return parser


def parse_manifest_and_copies(argument: str) -> tuple[Path, int]:
    """Parse a manifest and the number of its copies, `an4/manifest.jsonl:4`; the default is one copy."""
    file, separator, copies = argument.rpartition(":")
    if not separator:
        return Path(argument), 1
    if not copies.isdigit() or int(copies) < 1:
        raise ArgumentTypeError(f"copies of {file}: expected a whole number of at least 1, got {copies!r}")
    return Path(file), int(copies)


def start(args: Namespace) -> Run[Jasper]:
    cache = args.cache or args.out / "cache"
    clips = read_training_clips(args, cache)
    dev_sets = {manifest.parent.name: read_clips(manifest, cache)[:DEV_CLIPS] for manifest in args.dev}
    hours = sum(clip.frames for clip in clips) / FRAMES_PER_SECOND / 3600
    print(f"{len(clips)} clips, {hours:.1f} hours; dev sets: {', '.join(dev_sets) or 'none'}")
    recipe = JasperRecipe(size=args.size, batch_seconds=args.batch_seconds).with_options(args)
    noises = [clip for manifest in args.noise for clip in read_clips(manifest, cache)]
    training = build_training(recipe, clips, AugmentConfig().weaken(args.augmentation), noises)

    def measure(network: Jasper) -> dict[str, float]:
        return {name: round(measure_word_error_rate(network, dev), 4) for name, dev in dev_sets.items()}

    return Run(training, "jasper", recipe.size, measure)


def read_training_clips(args: Namespace, cache: Path) -> list[Clip]:
    clips = [clip for manifest in args.manifest for clip in read_clips(manifest, cache)]
    for manifest, copies in args.real:
        for speed in spread_speeds(copies):
            clips += [clip for clip in read_clips(manifest, cache, speed) if not is_held_out(clip.speaker)]
    return [clip for clip in clips if clip.text]


def spread_speeds(copies: int) -> list[float]:
    """Speeds spread evenly over SPEED_RANGE; a single copy has its middle."""
    return [round(float(speed), 3) for speed in np.linspace(*SPEED_RANGE, 2 * copies + 1)[1::2]]


def build_training(
    recipe: JasperRecipe, clips: list[Clip], augmentation: AugmentConfig, noises: Sequence[Clip] = ()
) -> Training[Jasper]:
    """Prepare a run that starts with a random network; `noises` are mixed into some clips."""
    schedule = recipe.schedule
    torch.manual_seed(schedule.seed)
    # Augmentation leaves nothing to learn by heart.
    network = Jasper(replace(CONFIGS[recipe.size], dropout=0.0)).to(recipe.device)
    noise = [clip.log_mel for clip in noises]
    limits = to_frames(recipe.batch_seconds, recipe.longest_seconds)
    first_limits = to_frames(recipe.first_batch_seconds, recipe.first_longest_seconds)
    batches = Batches([clip.frames for clip in clips], limits, first_limits, recipe.first_steps, schedule.seed)

    def draw_batch(step: int) -> tuple[Tensor, ...]:
        batch = [clips[index] for index in batches.at(step)]
        babble = [clip.log_mel for clip in batch]
        rng = np.random.default_rng((schedule.seed, step))
        features = pad([augment(clip.log_mel, augmentation, rng, babble, noise) for clip in batch])
        return *features, *join_labels([clip.labels for clip in batch])

    def compute_losses(network: Jasper, batch: tuple[Tensor, ...], step: int) -> dict[str, Tensor]:
        features, features_length, labels, labels_length = batch
        with recipe.autocast():
            log_probs, log_probs_length = network(features, features_length)
        return {"loss": ctc_loss(log_probs, log_probs_length, labels, labels_length)}

    optimizer = MuonAndAdamW(network, schedule.weight_decay)
    return Training(network, schedule, draw_batch, compute_losses, optimizer, recipe.first_steps)


def to_frames(batch_seconds: float, longest_seconds: float) -> BatchLimits:
    return BatchLimits(round(batch_seconds * FRAMES_PER_SECOND), longest_seconds * FRAMES_PER_SECOND)


def pad(features: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Join clips, shape = (64, frames), into a batch.

    Returns
    -------
    features : float32, shape = (batch, 64, frames of the longest clip, rounded up)
    features_length : int32, shape = (batch, 1)
    """
    frames = np.array([clip.shape[1] for clip in features], np.int32)
    longest = -(-int(frames.max()) // FRAMES_MULTIPLE) * FRAMES_MULTIPLE
    batch = np.zeros((len(features), NUM_FEATURES, longest), np.float32)
    for row, clip in zip(batch, features, strict=True):
        row[:, : clip.shape[1]] = clip
    return torch.from_numpy(batch), torch.from_numpy(frames[:, None])


def join_labels(labels: list[list[int]]) -> tuple[Tensor, Tensor]:
    """The labels of all clips, int64, shape = (labels,), and the number of each clip's, int64, shape = (clips,)."""
    return torch.tensor([label for clip in labels for label in clip]), torch.tensor([len(clip) for clip in labels])


def ctc_loss(log_probs: Tensor, log_probs_length: Tensor, labels: Tensor, labels_length: Tensor) -> Tensor:
    """CTC loss per letter, averaged over the clips; a clip too fast for its text counts nothing."""
    return F.ctc_loss(
        log_probs.transpose(0, 1),
        labels,
        log_probs_length[:, 0].long(),
        labels_length,
        blank=len(LABELS),
        zero_infinity=True,
    )


@torch.inference_mode()
def measure_word_error_rate(network: Jasper, clips: list[Clip]) -> float:
    """Word error rate of greedy decoding, 0 to 1 and above; features are normalised as in serving."""
    by_length = sorted(clips, key=lambda clip: clip.frames)
    device = next(network.parameters()).device
    transcripts = []
    for first in range(0, len(by_length), CLIPS_PER_DEV_BATCH):
        batch = by_length[first : first + CLIPS_PER_DEV_BATCH]
        features = [served_features().normalise(clip.log_mel.astype("float32").T) for clip in batch]
        log_probs, length = network(*move(pad(features), device))
        rows = zip(log_probs.cpu().numpy(), length[:, 0].tolist(), strict=True)
        transcripts += [greedy_decode(row[:frames], LABELS) for row, frames in rows]
    return jiwer.wer([clip.text for clip in by_length], transcripts)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), lambda args: train(args, start), argv)


if __name__ == "__main__":
    sys.exit(main())
