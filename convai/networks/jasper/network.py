"""Jasper as the exporter and the readers of checkpoints see it."""

from pathlib import Path

from convai.description.pipeline import LOG_MEL_FILE
from convai.networks.jasper.config import CONFIGS, JasperConfig
from convai.networks.jasper.convert import read
from convai.networks.jasper.fold import fold
from convai.networks.jasper.model import Jasper, example_inputs
from convai.networks.jasper.nemo import read as read_nemo
from convai.networks.network import Network, SideFile, Tolerance, encode_options


def encode_log_mel_options(_module: Jasper, config: JasperConfig) -> bytes:
    """Encode the options of the features that Jasper was trained on, for the step that computes them."""
    return encode_options(config.log_mel)


LOG_MEL_SIDE_FILE = SideFile(Path("speech_features", "1", LOG_MEL_FILE), encode_log_mel_options)

JASPER = Network(
    "jasper",
    module_class=Jasper,
    configs=CONFIGS,
    example_inputs=example_inputs,
    formats=("onnx", "torchscript", "tensorrt"),
    variable_axes={"features": {0: "batch", 2: "frames"}, "features_length": {0: "batch"}},
    traced_case={"batch": 2, "length": 64},
    parity_cases=(
        {"batch": 1, "length": 128},
        {"batch": 4, "length": 192, "seed": 1},
        {"batch": 3, "length": 133, "seed": 2},
    ),
    tolerances={
        "fp32": Tolerance(1e-3, "an error of 1e-3 in a log-probability is 0.1 % of the probability"),
        "fp16": Tolerance(5e-2, "FP16 keeps three digits, and log-probabilities reach the tens"),
    },
    fp32_layers=("decoder",),  # log-probabilities reach the tens: in FP16 the last layer alone doubles their error
    read_checkpoint=read,
    nemo_class="EncDecCTCModel",
    read_nemo=read_nemo,
    fold=fold,
    side_file=LOG_MEL_SIDE_FILE,
)
