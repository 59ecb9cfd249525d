"""Jasper's optimiser: Muon for the kernels of convolutions, AdamW for everything else."""

import torch
from torch import nn

from convai.networks.jasper.model import Jasper

ADAM_BETAS = (0.9, 0.98)


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

    def step(self, rate: float, largest_gradient: float) -> None:
        """Use up the gradients: clip them together, update at the learning rate, forget them."""
        nn.utils.clip_grad_norm_(self.parameters, largest_gradient)
        for matrix, kernel in zip(self.matrices, self.kernels, strict=True):
            matrix.grad = kernel.grad.flatten(1)
        for optimizer in (self.muon, self.adamw):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict:
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.muon.load_state_dict(state["muon"])
        self.adamw.load_state_dict(state["adamw"])


def is_one_of(parameter: nn.Parameter, parameters: list[nn.Parameter]) -> bool:
    """Whether it is the very same parameter; `in` would compare values."""
    return any(parameter is other for other in parameters)
