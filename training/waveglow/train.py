"""Trains WaveGlow.

    python -m training.waveglow.train --manifest speech/manifest.jsonl --out DIR --minutes 120

Writes to DIR: log.jsonl, state.pt (for --resume) and waveglow.safetensors (averaged weights, FP16). The recordings have
22,050 Hz; training.tacotron2.synthesize makes some.
"""

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convai.networks.waveglow.model import CONFIGS, WaveGlow
from convai.program import run_program
from training.common.device import move
from training.common.run import Run, make_training_parser, train
from training.common.training import Recipe, Schedule, Training
from training.waveglow.data import Recordings
from training.waveglow.losses import LIKELIHOOD, SPECTRUM, compute_losses

DEV_CLIPS, DEV_FRAMES = 8, 128


@dataclass(frozen=True)
class WaveGlowRecipe(Recipe):
    """
    Attributes
    ----------
    likelihood_alone_steps : at first; without them z gets so far from normal that the likelihood explodes
    likelihood_every : after them; the likelihood takes as long as all other losses, and every second step is enough
    """

    schedule: Schedule = Schedule(steps=60_000, peak_rate=7e-4, decay_share=0.4)
    size: str = "mini"
    clips: int = 12  # of a batch
    frames: int = 32  # of each, 8,192 samples
    likelihood_alone_steps: int = 300
    likelihood_every: int = 2  # steps

    def kinds_at(self, step: int) -> tuple[str, ...]:
        """The losses of a step."""
        if step < self.likelihood_alone_steps:
            return (LIKELIHOOD,)
        return (SPECTRUM,) if step % self.likelihood_every else (LIKELIHOOD, SPECTRUM)


def build_parser() -> ArgumentParser:
    parser = make_training_parser("training.waveglow.train", __doc__, WaveGlowRecipe())
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.jsonl of the recordings")
    parser.add_argument("--cache", type=Path, help="folder for the decoded recordings (default: OUT/cache)")
    return parser


def start(args: Namespace) -> Run[WaveGlow]:
    recordings = Recordings.read(args.manifest, args.cache or args.out / "cache")
    recipe = WaveGlowRecipe().with_options(args)
    training = build_training(recipe, recordings)
    return Run(training, "waveglow", recipe.size, lambda network: measure(network, recordings))


def build_training(recipe: WaveGlowRecipe, recordings: Recordings) -> Training[WaveGlow]:
    """Prepare a run that starts with a random network."""
    torch.manual_seed(recipe.schedule.seed)

    def draw_batch(step: int) -> tuple[Tensor, Tensor]:
        return recordings.batch(recipe.clips, recipe.frames, np.random.default_rng((recipe.schedule.seed, step)))

    def compute(network: WaveGlow, batch: tuple[Tensor, Tensor], step: int) -> dict[str, Tensor]:
        return compute_losses(network, *batch, recipe.kinds_at(step), recipe.autocast())

    network = WaveGlow(CONFIGS[recipe.size]).to(recipe.device)
    return Training(network, recipe.schedule, draw_batch, compute, first_steps=recipe.likelihood_alone_steps)


@torch.no_grad()  # not inference_mode: windows made here are kept, and training uses them again
def measure(network: WaveGlow, recordings: Recordings) -> dict[str, float]:
    """The losses at inference, of longer crops, always the same ones."""
    torch.manual_seed(0)
    batch = recordings.batch(DEV_CLIPS, DEV_FRAMES, np.random.default_rng(0))
    audio, mel = move(batch, next(network.parameters()).device)
    return {name: round(float(loss), 4) for name, loss in compute_losses(network, audio, mel).items()}


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), lambda args: train(args, start), argv)


if __name__ == "__main__":
    sys.exit(main())
