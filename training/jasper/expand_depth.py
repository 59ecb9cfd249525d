"""Depth expansion: inserts residual blocks into a trained Jasper.

    python -m training.jasper.expand_depth --init WEIGHTS --manifest M --cache DIR --out FILE

The larger network starts with the output of the smaller one: each new block starts as the identity.
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.networks.checkpoints.compact import load, save
from convai.networks.jasper.config import CONFIGS
from convai.networks.jasper.model import BATCH_NORM_EPSILON, Block, Jasper
from convai.program import run_program
from training.common.run import make_parser
from training.jasper.augment import AugmentConfig, augment
from training.jasper.data import read_clips
from training.jasper.train import pad

CLIPS = 64
SIZES = ("mini", "small")


def expand_depth(smaller: Jasper, larger: Jasper, features: Tensor, features_length: Tensor) -> None:
    """Copy the weights of `smaller` into `larger`, whose additional blocks follow the last residual block.

    Parameters
    ----------
    features : float32, shape = (batch, 64, frames); speech on which the input of the new blocks is measured
    features_length : int32, shape = (batch, 1)

    Raises
    ------
    InvalidArgument
        If the larger network does not hold every block of the smaller one.
    """
    old, new = smaller.encoder.layers, larger.encoder.layers
    last = max(index for index, block in enumerate(old) if block.keeps_panes)
    added = len(new) - len(old)
    try:
        for index, block in enumerate(old):
            new[index if index <= last else index + added].load_state_dict(block.state_dict())
    except (RuntimeError, IndexError) as error:
        raise InvalidArgument("the larger network must hold all blocks of the smaller network") from error
    larger.decoder.load_state_dict(smaller.decoder.state_dict())
    inputs = compute_output(old[last], smaller, features, features_length)
    for block in new[last + 1 : last + 1 + added]:
        initialise_identity(block, inputs.mean((0, 2)), inputs.var((0, 2), unbiased=False))


@torch.no_grad()
def initialise_identity(block: Block, mean: Tensor, variance: Tensor) -> None:
    """Make a residual block return its latest input, which has this mean and variance, shape = (channels,)."""
    for branch in (block.conv, *block.res):
        nn.init.zeros_(branch[-1].weight)
        nn.init.zeros_(branch[-1].bias)
    convolution, norm = block.res[-1]
    nn.init.dirac_(convolution.weight)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + BATCH_NORM_EPSILON).sqrt())
    norm.bias.copy_(mean)


@torch.no_grad()
def compute_output(block: Block, network: Jasper, features: Tensor, features_length: Tensor) -> Tensor:
    """Output of a block of the network: float32, shape = (batch, channels, frames)."""
    outputs = []
    hook = block.register_forward_hook(lambda module, inputs, output: outputs.append(output[0][-1]))
    network.eval()(features, features_length)
    hook.remove()
    return outputs[0]


def build_parser() -> ArgumentParser:
    parser = make_parser("training.jasper.expand_depth", __doc__)
    parser.add_argument("--init", type=Path, required=True, help="weights of the smaller network")
    parser.add_argument("--manifest", type=Path, required=True, help="speech to measure on")
    parser.add_argument("--cache", type=Path, required=True, help="folder for log-mels")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights of the larger network")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: Namespace) -> None:
    torch.manual_seed(0)
    smaller, larger = (Jasper(CONFIGS[size]) for size in SIZES)
    smaller.load_state_dict(load(args.init))
    rng = np.random.default_rng(0)
    clips = read_clips(args.manifest, args.cache)[:CLIPS]
    batch = pad([augment(clip.log_mel, AugmentConfig(), rng) for clip in clips])
    expand_depth(smaller, larger, *batch)
    with torch.no_grad():
        difference = (larger.eval()(*batch)[0] - smaller.eval()(*batch)[0]).abs().max().item()
    save(args.out, larger.state_dict(), metadata={"config": SIZES[1]})
    print(f"{sum(p.numel() for p in larger.parameters()):,} parameters; largest difference {difference:.2g}")


if __name__ == "__main__":
    sys.exit(main())
