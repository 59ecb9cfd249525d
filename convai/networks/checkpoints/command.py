"""Say what a file of weights holds: its layout, network, sizes, number of parameters and dtypes.

convai weights inspect bert_large_qa.pt
"""

import argparse
from pathlib import Path

from convai.networks.checkpoints.checkpoint import Checkpoint, read_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    inspect = actions.add_parser("inspect", help="say what a checkpoint holds")
    inspect.add_argument("file", type=Path, metavar="FILE", help="as NVIDIA or Hugging Face publish it, or our own")


def run(args: argparse.Namespace) -> None:
    print(description(read_checkpoint(args.file)))


def description(checkpoint: Checkpoint) -> str:
    reading = checkpoint.reading
    weights = checkpoint.weights()
    lines = {
        "layout": reading.layout,
        "network": f"{checkpoint.network}, {weights.config_name}",
        "config": ", ".join(f"{name} {value}" for name, value in vars(reading.config).items()),
        "parameters": f"{checkpoint.parameter_count:,}",
        "dtypes": ", ".join(f"{count:,} {dtype}" for dtype, count in checkpoint.dtypes.items()),
        "sha256": weights.sha256,
    }
    return "\n".join(f"{name:<12}{text}" for name, text in lines.items())
