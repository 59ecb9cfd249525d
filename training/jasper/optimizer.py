"""Jasper's optimiser: Muon for the kernels of convolutions, AdamW for everything else."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from convai.networks.jasper.model import Jasper
from training.common.device import supports_bfloat16
from training.common.training import ADAM_BETAS


class Float32Muon(torch.optim.Muon):
    """PyTorch's Muon (Jordan 2024) in FP32: PyTorch's own always multiplies in BF16, which some processors emulate."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonalise(
                    matrix.grad.lerp(state["momentum_buffer"], group["momentum"]),
                    group["ns_coefficients"],
                    group["ns_steps"],
                )
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


def orthogonalise(matrix: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Bring the singular values of a matrix to about 1 by `steps` of a quintic Newton-Schulz iteration."""
    a, b, c = coefficients
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class MuonAndAdamW:
    """Muon for kernels, as matrices of shape (out, in * size); it learns most from few recordings."""

    def __init__(self, network: Jasper, weight_decay: float):
        self.kernels = [module.weight for module in network.encoder.modules() if isinstance(module, nn.Conv1d)]
        # The matrices share the kernels' memory, so updating them updates the network.
        self.matrices = [nn.Parameter(kernel.detach().flatten(1)) for kernel in self.kernels]
        others = [parameter for parameter in network.parameters() if not is_in(parameter, self.kernels)]
        muon = torch.optim.Muon if supports_bfloat16(self.kernels[0].device) else Float32Muon
        self.muon = muon(self.matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
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


def is_in(parameter: Tensor, parameters: Sequence[Tensor]) -> bool:
    """Whether it is the same object as one of the parameters; `in` would compare values."""
    return any(parameter is other for other in parameters)
