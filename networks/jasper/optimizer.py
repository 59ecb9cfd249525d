"""Jasper's optimiser: Muon for the kernels of convolutions, AdamW for everything else."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from convai.networks.jasper.model import Jasper
from convai.networks.training.training import ADAM_BETAS


class MuonAndAdamW:
    """Muon makes the most of few recordings, but knows only matrices: a kernel is one of (out, in * size)."""

    def __init__(self, network: Jasper, weight_decay: float):
        self.kernels = [module.weight for module in network.encoder.modules() if isinstance(module, nn.Conv1d)]
        # The matrices share the kernels' memory, so that updating them updates the network.
        self.matrices = [nn.Parameter(kernel.detach().flatten(1)) for kernel in self.kernels]
        others = [parameter for parameter in network.parameters() if not is_one_of(parameter, self.kernels)]
        self.muon = torch.optim.Muon(self.matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        self.adamw = torch.optim.AdamW(others, betas=ADAM_BETAS, weight_decay=weight_decay, fused=True)
        self.parameters = [*self.kernels, *others]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.muon.param_groups + self.adamw.param_groups

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        for matrix, kernel in zip(self.matrices, self.kernels, strict=True):
            assert kernel.grad is not None  # the loss depends on every kernel
            matrix.grad = kernel.grad.flatten(1)
        self.muon.step()
        self.adamw.step()

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.muon.load_state_dict(state_dict["muon"])
        self.adamw.load_state_dict(state_dict["adamw"])


def is_one_of(parameter: Tensor, parameters: Sequence[Tensor]) -> bool:
    """Whether it is the very same parameter; `in` would compare values."""
    return any(parameter is other for other in parameters)
