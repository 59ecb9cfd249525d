"""Average the weights of trainings that parted:

python -m convai.networks.average run/jasper.safetensors other_run/jasper.safetensors --out jasper.safetensors

Trainings that went on from the same weights on different batches end close to each other, and the mean of their weights
errs less than either: "Model soups", Wortsman et al. 2022. It makes use of cores that one training cannot share.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from convai.networks.compact import load, save


def average(several: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each floating-point tensor over several state dicts; other tensors are the first's.

    Raises ValueError if they are not the same network's.
    """
    first = several[0]
    for other in several[1:]:
        names = sorted(first.keys() ^ other.keys())
        names = names or [name for name in first if first[name].shape != other[name].shape]
        if names:
            raise ValueError(f"weights to average must have the same tensors; {', '.join(names)} differ")
    return {
        name: torch.stack([one[name] for one in several]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in first.items()
    }


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as opened:
        return opened.metadata() or {}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+", help=".safetensors files of one network")
    parser.add_argument("--out", type=Path, required=True, help="file to write, FP16")
    args = parser.parse_args(argv)
    try:
        save(args.out, average([load(file) for file in args.weights]), metadata=metadata_of(args.weights[0]))
    except (ValueError, OSError) as error:
        print(f"average: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
