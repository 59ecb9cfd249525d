"""Small networks to deploy, some of which must be refused."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Halver(nn.Module):
    """Halves each row until all its values are at most 1, and counts the halvings: a data-dependent loop."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        count = torch.zeros(x.shape[0], 1, dtype=torch.int32)
        while bool((x > 1).any()):
            is_large = (x > 1).any(dim=1, keepdim=True)
            x = torch.where(is_large, x / 2, x)
            count = count + is_large.int()
        return x, count


class Scores(NamedTuple):
    score: Tensor
    is_positive: Tensor


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor, scale: float = 2.0) -> Scores:
        score = scale * self.linear(x)
        return Scores(score, score > 0)


def fixed_scorer() -> Scorer:
    scorer = Scorer()
    nn.init.ones_(scorer.linear.weight)
    nn.init.zeros_(scorer.linear.bias)
    return scorer


class Lookup(nn.Module):
    """Looks up ten times the index, and zero for masked ones."""

    def forward(self, index: Tensor, mask: Tensor) -> Tensor:
        return 10.0 * torch.arange(4, dtype=torch.float32)[index] * mask


class Brancher(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            return x + 1
        return x - 1


class BakedBatch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(int(x.shape[0]), 3, 1) * 2


class BatchCentred(nn.Module):
    """A row's result depends on its batch neighbours."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0, keepdim=True)


class Mapper(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": x}


class Multiplier(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.ones(7, 7)


def crashing():
    raise RuntimeError("no weights\nhere")
