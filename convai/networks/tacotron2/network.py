"""Tacotron 2 as the exporter and the readers of checkpoints see it."""

from pathlib import Path

from convai.description.pipeline import SYMBOLS_FILE
from convai.networks.network import Network, SideFile, Tolerance, encode_options
from convai.networks.tacotron2.config import CONFIGS, Tacotron2Config
from convai.networks.tacotron2.convert import read
from convai.networks.tacotron2.loop import split_loop
from convai.networks.tacotron2.model import Tacotron2, example_inputs
from convai.networks.tacotron2.nemo import read as read_nemo


def encode_symbols(_module: Tacotron2, config: Tacotron2Config) -> bytes:
    """Encode the symbols that Tacotron 2 reads, for the step that spells texts."""
    return encode_options(config.symbols)


SYMBOLS_SIDE_FILE = SideFile(Path("text_encoder", "1", SYMBOLS_FILE), encode_symbols)

TACOTRON2 = Network(
    "tacotron2",
    module_class=Tacotron2,
    configs=CONFIGS,
    example_inputs=example_inputs,
    formats=("onnx", "torchscript"),
    variable_axes={"symbol_ids": {0: "batch", 1: "symbols"}, "symbols_length": {0: "batch"}},
    traced_case={"batch": 2, "length": 32},
    parity_cases=(
        {"batch": 1, "length": 6},
        {"batch": 4, "length": 12, "seed": 1},
        {"batch": 3, "length": 9, "seed": 2},
    ),
    # Not in FP16: each frame is computed from the previous ones, and a mel differed by 3.9 dB.
    tolerances={"fp32": Tolerance(2e-2, "0.17 dB; each frame is computed from the previous ones")},
    read_checkpoint=read,
    nemo_class="Tacotron2Model",
    read_nemo=read_nemo,
    split_loop=split_loop,
    side_file=SYMBOLS_SIDE_FILE,
)
