"""Train Tacotron 2: python -m training.tacotron2.train --manifest speech/manifest.jsonl --out DIR --minutes 120

Writes to DIR: log.jsonl, state.pt (to go on with --resume) and tacotron2.safetensors (averaged weights, FP16).
networks/tacotron2/synthesize.py makes the speech; every 50th clip is kept for measuring.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convai.networks.tacotron2.model import Tacotron2
from convai.program import run_program
from training.common import run as training_run
from training.common.batches import Batches, BatchLimits
from training.common.training import Training
from training.tacotron2.data import Clip, collate, read_clips, split_held_out
from training.tacotron2.losses import batch_losses
from training.tacotron2.measure import measure
from training.tacotron2.recipe import Recipe

CLIPS_FOR_MEAN = 200


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--manifest", type=Path, nargs="+", required=True, help="manifest.jsonl files to learn from")
    parser.add_argument("--cache", type=Path, help="folder for mels (default: OUT/cache)")
    parser.add_argument("--measured-clips", type=int, default=16, help="kept-out clips spoken at every check")
    training_run.add_arguments(parser, Recipe().schedule)
    return parser


def training_of(recipe: Recipe, clips: list[Clip]) -> Training[Tacotron2]:
    torch.manual_seed(recipe.schedule.seed)
    network = Tacotron2(recipe.config)
    start_from_mean(network, clips)
    limits = BatchLimits(recipe.batch_frames)
    first_limits = BatchLimits(recipe.batch_frames, recipe.first_longest_frames)
    frames = [clip.frames for clip in clips]
    batches = Batches(frames, limits, first_limits, recipe.first_steps, recipe.schedule.seed)

    def losses(network: Tacotron2, step: int) -> dict[str, Tensor]:
        batch = collate([clips[index] for index in batches.at(step)], network.n_frames_per_step)
        return batch_losses(network, batch, recipe, step)

    return Training(network, recipe.schedule, losses, first_steps=max(recipe.first_steps, recipe.sequential_from))


@torch.no_grad()
def start_from_mean(network: Tacotron2, clips: list[Clip]) -> None:
    """Let the untrained decoder write the mean mel: otherwise it needs hundreds of steps to get there from zero."""
    heard = np.concatenate([clip.log_mel for clip in clips[:: max(1, len(clips) // CLIPS_FOR_MEAN)]])
    mean = torch.from_numpy(heard.mean(0, dtype=np.float64)).float()
    network.decoder.linear_projection.linear_layer.bias.copy_(mean.repeat(network.n_frames_per_step))


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    training_run.prepare(args)
    recipe = Recipe()
    recipe = replace(recipe, schedule=training_run.chosen(recipe.schedule, args))
    clips = [clip for manifest in args.manifest for clip in read_clips(manifest, args.cache or args.out / "cache")]
    learnt, kept = split_held_out(clips)
    print(f"{len(learnt)} clips to learn from, {len(kept)} kept out")
    training = training_of(recipe, learnt)
    training_run.run(
        training, args, "tacotron2", recipe.size, lambda network: measure(network, kept[: args.measured_clips])
    )


if __name__ == "__main__":
    sys.exit(main())
