"""Runs a TorchScript file in PyTorch on the CPU, with the parameters of Triton's own backend.

As in that backend, inputs are named after forward's arguments and outputs `name__index`, with the index into the
returned tuple.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from convai.backends.engines.runs import Arrays
from convai.backends.runtime.parameters import read_whole_number
from convai.errors import InvalidArgument

# Begins the last line of an error that the network's own code raised; PyTorch's operators raise RuntimeErrors. A
# TorchScript file cannot hold an exception class of ours.
RAISED_VALUE_ERROR = "builtins.ValueError: "


class TorchScriptNetwork:
    """The numbers of threads apply to the whole process, which can set them only once."""

    def __init__(self, file: Path, config: Mapping[str, Any]):
        torch.set_num_threads(read_whole_number(config, "INTRA_OP_THREAD_COUNT", 1))
        torch.set_num_interop_threads(read_whole_number(config, "INTER_OP_THREAD_COUNT", 1))
        self.network = torch.jit.load(file, map_location="cpu").eval()
        self.output_indices = {output["name"]: read_output_index(output["name"]) for output in config["output"]}

    @torch.inference_mode()
    def run(self, inputs: Arrays) -> Arrays:
        torch.set_flush_denormal(True)  # applies to the calling thread, which Triton chooses
        try:
            outputs = self.network(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        except torch.jit.Error as error:
            reason = str(error).strip().splitlines()[-1]
            if reason.startswith(RAISED_VALUE_ERROR):
                refusal = reason.removeprefix(RAISED_VALUE_ERROR)
                raise InvalidArgument(f"the network refuses its inputs: {refusal}") from error
            raise
        outputs = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
        return {name: outputs[index].numpy() for name, index in self.output_indices.items()}


def read_output_index(name: str) -> int:
    """Read the index of an output: 2 for "mel_length__2"."""
    index = name.rpartition("__")[2]
    if not index.isdecimal():
        raise InvalidArgument(
            f"output of a TorchScript network: expected a name with its index, as {name}__0, got {name}"
        )
    return int(index)
