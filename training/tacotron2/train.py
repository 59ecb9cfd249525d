"""Trains Tacotron 2.

    python -m training.tacotron2.train --manifest speech/manifest.jsonl --out DIR --minutes 120

Writes to DIR: log.jsonl, state.pt (for --resume) and tacotron2.safetensors (averaged weights, FP16).
training.tacotron2.synthesize makes the speech; every 50th clip is kept for measuring.
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.model import Tacotron2
from convai.program import run_program
from training.common.batches import Batches, BatchLimits
from training.common.device import move
from training.common.run import Run, make_training_parser, train
from training.common.training import Training
from training.tacotron2.data import Batch, Clip, Tacotron2Recipe, collate, read_clips, split_held_out
from training.tacotron2.losses import compute_losses, masked_mean

CLIPS_FOR_MEAN = 200
DEV_CLIPS, CLIPS_PER_DEV_BATCH = 16, 8


def build_parser() -> ArgumentParser:
    parser = make_training_parser("training.tacotron2.train", __doc__, Tacotron2Recipe())
    parser.add_argument("--manifest", type=Path, nargs="+", required=True, help="manifest.jsonl files to learn from")
    parser.add_argument("--cache", type=Path, help="folder for mels (default: OUT/cache)")
    return parser


def start(args: Namespace) -> Run[Tacotron2]:
    clips = [clip for manifest in args.manifest for clip in read_clips(manifest, args.cache or args.out / "cache")]
    learnt, held_out = split_held_out(clips)
    print(f"{len(learnt)} clips to learn from, {len(held_out)} held out")
    recipe = Tacotron2Recipe().with_options(args)
    training = build_training(recipe, learnt)
    return Run(training, "tacotron2", recipe.size, lambda network: measure(network, held_out[:DEV_CLIPS]))


def build_training(recipe: Tacotron2Recipe, clips: list[Clip]) -> Training[Tacotron2]:
    """Prepare a run that starts with a random network."""
    torch.manual_seed(recipe.schedule.seed)
    network = Tacotron2(recipe.config)
    start_from_mean(network, clips)
    network.to(recipe.device)
    limits = BatchLimits(recipe.batch_frames)
    first_limits = BatchLimits(recipe.batch_frames, recipe.first_longest_frames)
    frames = [clip.frames for clip in clips]
    batches = Batches(frames, limits, first_limits, recipe.first_steps, recipe.schedule.seed)

    def draw_batch(step: int) -> Batch:
        return collate([clips[index] for index in batches.at(step)], recipe.config.n_frames_per_step)

    def compute(network: Tacotron2, batch: Batch, step: int) -> dict[str, Tensor]:
        return compute_losses(network, batch, recipe, step)

    first_steps = max(recipe.first_steps, recipe.sequential_from)
    return Training(network, recipe.schedule, draw_batch, compute, first_steps=first_steps)


@torch.no_grad()
def start_from_mean(network: Tacotron2, clips: list[Clip]) -> None:
    """Let the untrained decoder write the mean mel: from zero it needs hundreds of steps to get there."""
    sample = np.concatenate([clip.log_mel for clip in clips[:: max(1, len(clips) // CLIPS_FOR_MEAN)]])
    mean = torch.from_numpy(sample.mean(0, dtype=np.float64)).float()
    network.decoder.linear_projection.linear_layer.bias.copy_(mean.repeat(network.n_frames_per_step))


@torch.inference_mode()
def measure(network: Tacotron2, clips: list[Clip]) -> dict[str, float]:
    """Measure speech of texts that the network has not learnt from.

    Returns
    -------
    mel : mean absolute difference of the log-mels, given the true frames before each step
    focus : mean of the highest attention weight of each step, above 0.5 once the network reads
    off_symbols : mean distance of attention from the teacher's, in symbols
    runaways : share of texts, decoded freely, that do not end by themselves
    length : ratio of the frames, decoded freely, to the teacher's, over all texts
    """
    starts = range(0, len(clips), CLIPS_PER_DEV_BATCH)
    figures = [measure_batch(network, clips[first : first + CLIPS_PER_DEV_BATCH]) for first in starts]
    return {name: round(float(np.mean([one[name] for one in figures])), 4) for name in figures[0]}


def measure_batch(network: Tacotron2, clips: list[Clip]) -> dict[str, float]:
    device = next(network.parameters()).device
    batch = move(collate(clips, network.n_frames_per_step), device)
    torch.manual_seed(0)  # of the prenet's dropout
    _, mel, _, attention = network.teacher_forced(batch.symbol_ids, batch.symbols_length, batch.mels, batch.mels_length)
    frame_mask = length_mask(batch.mels_length.flatten().long(), batch.mels.size(2)).unsqueeze(1)
    places = torch.arange(batch.symbol_ids.size(1), device=device).float()
    _, frames = network(batch.symbol_ids, batch.symbols_length)
    caps = network.step_caps(batch.symbols_length.flatten().long()) * network.n_frames_per_step
    return {
        "mel": float(masked_mean((mel - batch.mels).abs(), frame_mask)),
        "focus": float(masked_mean(attention.amax(2), batch.step_mask)),
        "off_symbols": float(masked_mean(((attention - batch.attention) @ places).abs(), batch.step_mask)),
        "runaways": float((frames.flatten() >= caps).float().mean()),
        "length": float(frames.sum() / batch.mels_length.sum()),
    }


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), lambda args: train(args, start), argv)


if __name__ == "__main__":
    sys.exit(main())
