"""A TorchScript file in PyTorch on the CPU, with the parameters that Triton's own backend takes.

As in that backend, inputs go by the names of forward's arguments and outputs by `name__index`, with the index into
the returned tuple.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from convai.backends.engines.runs import Arrays
from convai.backends.runtime.parameters import whole_number
from convai.errors import InvalidArgument

# How TorchScript tells that the network's own code raised one; PyTorch's operators raise RuntimeErrors, and a class of
# ours could not travel in the file.
RAISED_VALUE_ERROR = "builtins.ValueError: "


class TorchScriptNetwork:
    """Its numbers of threads hold for the whole process, which can set them once."""

    def __init__(self, file: Path, config: Mapping[str, Any]):
        torch.set_num_threads(whole_number(config, "INTRA_OP_THREAD_COUNT", 1))
        torch.set_num_interop_threads(whole_number(config, "INTER_OP_THREAD_COUNT", 1))
        self.network = torch.jit.load(file, map_location="cpu").eval()
        self.output_indices = {output["name"]: output_index(output["name"]) for output in config["output"]}

    @torch.inference_mode()
    def run(self, inputs: Arrays) -> Arrays:
        torch.set_flush_denormal(True)  # it holds for the calling thread, which Triton chooses
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


def output_index(name: str) -> int:
    """2 for "mel_length__2"."""
    index = name.rpartition("__")[2]
    if not index.isdecimal():
        raise InvalidArgument(f"output {name} of a TorchScript network must end in its index, like {name}__0")
    return int(index)
