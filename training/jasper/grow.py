"""Put more residual blocks into a trained Jasper: python -m training.jasper.grow --manifest M --out FILE

The larger network begins by answering as the smaller one does: each new block passes on what it is given.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.networks.checkpoints.quantised import load, save
from convai.networks.jasper.config import CONFIGS
from convai.networks.jasper.model import BATCH_NORM_EPSILON, Block, Jasper
from convai.program import run_program
from training.jasper.augment import AugmentConfig, augment
from training.jasper.data import read_clips
from training.jasper.training import pad

CLIPS = 64


def grow(smaller: Jasper, larger: Jasper, features: Tensor, features_length: Tensor) -> None:
    """Give `larger` the weights of `smaller`; blocks that it has beyond those follow the last residual block.

    Parameters
    ----------
    features : float32, shape = (batch, features, frames)
        Speech on which the spread of what a new block is given is measured.
    features_length : int32, shape = (batch, 1)

    Raises
    ------
    InvalidArgument
        If the larger network does not hold every block of the smaller one.
    """
    old, new = smaller.encoder.layers, larger.encoder.layers
    last = max(index for index, block in enumerate(old) if block.is_dense)
    added = len(new) - len(old)
    try:
        for index, block in enumerate(old):
            new[index if index <= last else index + added].load_state_dict(block.state_dict())
    except (RuntimeError, IndexError) as error:
        raise InvalidArgument("the larger network must hold all blocks of the smaller network") from error
    larger.decoder.load_state_dict(smaller.decoder.state_dict())
    given = output_of(old[last], smaller, features, features_length)
    for block in new[last + 1 : last + 1 + added]:
        pass_on(block, given.mean((0, 2)), given.var((0, 2), unbiased=False))


@torch.no_grad()
def pass_on(block: Block, mean: Tensor, variance: Tensor) -> None:
    """Let a residual block answer what its latest pane holds, of which every channel has this mean and variance."""
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
def output_of(block: Block, network: Jasper, features: Tensor, features_length: Tensor) -> Tensor:
    """What a block of the network answers; shape = (batch, channels, frames)."""
    outputs = []
    hook = block.register_forward_hook(lambda module, inputs, output: outputs.append(output[0][-1]))
    network.eval()(features, features_length)
    hook.remove()
    return outputs[0]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--init", type=Path, required=True, help="weights of the smaller network")
    parser.add_argument("--manifest", type=Path, required=True, help="speech to measure on")
    parser.add_argument("--cache", type=Path, required=True, help="folder for log-mels")
    parser.add_argument("--sizes", nargs=2, default=("mini", "small"), choices=CONFIGS, help="default %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights of the larger network")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    smaller, larger = (Jasper(CONFIGS[size]) for size in args.sizes)
    smaller.load_state_dict(load(args.init))
    rng = np.random.default_rng(0)
    clips = read_clips(args.manifest, args.cache)[:CLIPS]
    batch = pad([augment(clip.log_mel, AugmentConfig(), rng) for clip in clips])
    grow(smaller, larger, *batch)
    with torch.no_grad():
        difference = (larger.eval()(*batch)[0] - smaller.eval()(*batch)[0]).abs().max().item()
    save(args.out, larger.state_dict(), metadata={"config": args.sizes[1]})
    print(f"{sum(p.numel() for p in larger.parameters()):,} parameters; largest difference {difference:.2g}")


if __name__ == "__main__":
    sys.exit(main())
