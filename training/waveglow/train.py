"""Train WaveGlow: python -m training.waveglow.train --manifest speech/manifest.jsonl --out DIR --minutes 120

Writes to DIR: log.jsonl, state.pt (to go on with --resume) and waveglow.safetensors (averaged weights, FP16). Any
recordings of 22,050 Hz do; networks/tacotron2/synthesize.py makes some.
"""

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convai.errors import InvalidArgument
from convai.networks.waveglow.model import CONFIGS, WaveGlow
from convai.program import run_program
from training.common import run as training_run
from training.common.precision import multiplies_bfloat16
from training.common.training import Schedule, Training
from training.waveglow.data import Recordings
from training.waveglow.losses import LossWeights, batch_losses

MEASURED_CLIPS, MEASURED_FRAMES = 8, 128


@dataclass(frozen=True)
class Recipe:
    """Every number that the default weights depend on, besides the recordings.

    Attributes
    ----------
    likelihood_alone_steps : at first; without them z gets so far from normal that the likelihood explodes
    likelihood_every : after that; it costs as much as all other losses, and keeps z normal even now and then
    bfloat16 : half as fast again on processors with AVX512-BF16; the last hours should do without
    """

    size: str = "mini"
    clips: int = 12  # of a batch
    frames: int = 32  # of each, 8,192 samples
    weights: LossWeights = LossWeights()
    likelihood_alone_steps: int = 300
    likelihood_every: int = 2  # steps
    bfloat16: bool = field(default_factory=multiplies_bfloat16)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=60_000, peak_rate=7e-4, decay_share=0.4))

    def __post_init__(self):
        if self.size not in CONFIGS:
            raise InvalidArgument(f"size must be one of {', '.join(CONFIGS)}, got {self.size!r}")
        for name, least in (("clips", 1), ("frames", 8), ("likelihood_every", 1)):
            if getattr(self, name) < least:
                raise InvalidArgument(f"{name} must be at least {least}, got {getattr(self, name)}")

    def weights_at(self, step: int) -> LossWeights:
        likelihood_alone = LossWeights(self.weights.likelihood, 0, 0)
        if self.weights.likelihood and step < self.likelihood_alone_steps:
            return likelihood_alone
        if step % self.likelihood_every == 0 or self.weights == likelihood_alone:
            return self.weights
        return replace(self.weights, likelihood=0)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.jsonl of the recordings")
    parser.add_argument("--cache", type=Path, help="folder for the decoded recordings (default: OUT/cache)")
    for name, weight in vars(LossWeights()).items():
        parser.add_argument(f"--{name}", type=float, default=weight, help=f"weight of the loss, default {weight:g}")
    parser.add_argument("--full-precision", action="store_true", help="compute in FP32 on every processor")
    training_run.add_arguments(parser, Recipe().schedule)
    return parser


def training_of(recipe: Recipe, recordings: Recordings) -> Training[WaveGlow]:
    torch.manual_seed(recipe.schedule.seed)

    def losses(network: WaveGlow, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((recipe.schedule.seed, step))
        audio, mel = recordings.batch(recipe.clips, recipe.frames, rng)
        return batch_losses(network, audio, mel, recipe.weights_at(step), recipe.bfloat16)

    network = WaveGlow(CONFIGS[recipe.size])
    return Training(network, recipe.schedule, losses, first_steps=recipe.likelihood_alone_steps)


@torch.no_grad()  # not inference_mode: windows made here are kept, and training uses them again
def measure(network: WaveGlow, recordings: Recordings) -> dict[str, float]:
    """The losses at inference, of longer stretches and always the same ones."""
    torch.manual_seed(0)
    audio, mel = recordings.batch(MEASURED_CLIPS, MEASURED_FRAMES, np.random.default_rng(0))
    return {name: round(float(loss), 4) for name, loss in batch_losses(network, audio, mel, LossWeights()).items()}


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    training_run.prepare(args)
    recipe = Recipe(weights=LossWeights(args.likelihood, args.spectrum, args.mel))
    if args.full_precision:
        recipe = replace(recipe, bfloat16=False)
    recipe = replace(recipe, schedule=training_run.chosen(recipe.schedule, args))
    recordings = Recordings.read(args.manifest, args.cache or args.out / "cache")
    training = training_of(recipe, recordings)
    training_run.run(training, args, "waveglow", recipe.size, lambda network: measure(network, recordings))


if __name__ == "__main__":
    sys.exit(main())
