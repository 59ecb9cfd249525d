"""WaveGlow as the exporter and the readers of checkpoints see it."""

from convai.networks.network import Network, Tolerance
from convai.networks.waveglow.bias import BIAS_SIDE_FILE
from convai.networks.waveglow.config import CONFIGS
from convai.networks.waveglow.convert import read
from convai.networks.waveglow.fold import FoldedWaveGlow
from convai.networks.waveglow.model import WaveGlow, example_inputs
from convai.networks.waveglow.nemo import read as read_nemo

WAVEGLOW = Network(
    "waveglow",
    module_class=WaveGlow,
    configs=CONFIGS,
    example_inputs=example_inputs,
    formats=("onnx", "tensorrt"),
    variable_axes={"padded_mel": {0: "batch", 2: "frames"}, "z": {0: "batch", 2: "groups"}},
    traced_case={"batch": 2, "length": 40},
    parity_cases=(
        {"batch": 1, "length": 128},
        {"batch": 4, "length": 130, "seed": 1},
        {"batch": 3, "length": 141, "seed": 2},
    ),
    tolerances={
        "fp32": Tolerance(1e-4, "of full scale; 10 % of what another row of the batch may change"),
        "fp16": Tolerance(2e-2, "of full scale; FP16 keeps three digits in each of the flows"),
    },
    read_checkpoint=read,
    nemo_class="WaveGlowModel",
    read_nemo=read_nemo,
    fold=FoldedWaveGlow,
    side_file=BIAS_SIDE_FILE,
)
