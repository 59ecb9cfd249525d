"""BERT as the exporter and the readers of checkpoints see it."""

from convai.networks.bert.config import CONFIGS
from convai.networks.bert.convert import read
from convai.networks.bert.model import Bert, example_inputs
from convai.networks.network import Network, Tolerance

WINDOW_AXES = {0: "batch", 1: "windows", 2: "tokens"}

BERT = Network(
    "bert",
    module_class=Bert,
    configs=CONFIGS,
    example_inputs=example_inputs,
    formats=("onnx", "torchscript", "tensorrt"),
    variable_axes=dict.fromkeys(("input_ids", "token_type_ids", "attention_mask"), WINDOW_AXES),
    traced_case={"batch": 2, "length": 64, "windows": 3},
    parity_cases=(
        {"batch": 1, "length": 96, "windows": 1},
        {"batch": 4, "length": 72, "windows": 2, "seed": 1},
        {"batch": 2, "length": 384, "windows": 1, "seed": 2},
    ),
    tolerances={
        "fp32": Tolerance(1e-3, "an error of 1e-3 in a logit changes the odds of an answer by 0.1 %"),
        "fp16": Tolerance(5e-2, "FP16 keeps three digits, and logits reach the tens"),
    },
    fp32_layers=("qa_outputs",),
    read_checkpoint=read,
)
