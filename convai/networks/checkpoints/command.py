"""Print what a file of weights holds: its layout, network, sizes, number of parameters and dtypes.

convai weights bert_large_qa.pt
"""

import argparse
from pathlib import Path

from convai.networks.checkpoints.checkpoint import Checkpoint, read_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="published by NVIDIA or Hugging Face, or our own")


def run(args: argparse.Namespace) -> None:
    print(describe(read_checkpoint(args.file)))


def describe(checkpoint: Checkpoint) -> str:
    config = checkpoint.converted.config
    weights = checkpoint.weights()
    lines = {
        "layout": checkpoint.converted.layout,
        "network": f"{checkpoint.network.name}, {weights.config_name}",
        "config": ", ".join(f"{name} {value}" for name, value in vars(config).items()),
        "parameters": f"{checkpoint.parameter_count:,}",
        "dtypes": ", ".join(f"{count:,} {dtype}" for dtype, count in checkpoint.dtypes.items()),
        "sha256": weights.sha256,
    }
    return "\n".join(f"{name:<12}{text}" for name, text in lines.items())
