"""The network behind `backends/steps/rescorer.py`, in PyTorch, to be trained."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.backends.steps.rescorer import UNKNOWN

NOT_A_TARGET = -1
NOT_THERE = -1e4  # logit


@dataclass(frozen=True)
class RescorerConfig:
    """
    vocabulary : words and marks that are predicted
    frequent, common : so many of them are in the first class, and in the first and second
    buckets : inputs that all other words share
    tail_widths : what a word of the second class is known by, and one of the third
    """

    vocabulary: int = 32_000
    frequent: int = 2_000
    common: int = 10_000
    buckets: int = 2_000
    width: int = 128
    cells: int = 320
    tail_widths: tuple[int, int] = (64, 32)
    dropout: float = 0.1  # acts while training only


@dataclass(frozen=True)
class Batch:
    """Sentences, each with the passage it is about or all with none.

    Attributes
    ----------
    words : int64, shape = (sentences, longest + 1): END, then the sentence
    is_in_passage : int64 0 or 1, same shape
    targets : same shape: the sentence, then END; NOT_A_TARGET for padding
    costs : float32, same shape: nats for spelling
    passages : int64, shape = (passages, longest passage), or None
    is_passage : bool, same shape
    owners : int64, shape = (sentences,): the row of each one's passage
    """

    words: Tensor
    is_in_passage: Tensor
    targets: Tensor
    costs: Tensor
    passages: Tensor | None = None
    is_passage: Tensor | None = None
    owners: Tensor | None = None


class Rescorer(nn.Module):
    def __init__(self, config: RescorerConfig):
        super().__init__()
        self.config = config
        width, classes = config.width, (config.frequent, config.common, config.vocabulary)
        self.embedding = nn.Embedding(config.vocabulary + config.buckets, width)
        self.membership = nn.Embedding(2, width)
        self.lstm = nn.LSTM(width, config.cells, batch_first=True)
        self.projection = nn.Linear(config.cells, width)
        self.key, self.query = nn.Linear(3 * width, width), nn.Linear(width, width)
        self.mix, self.gate = nn.Linear(width, width, bias=False), nn.Linear(2 * width, 1)
        self.to_class = nn.Linear(width, 2)
        self.to_tails = nn.ModuleList(nn.Linear(width, size) for size in config.tail_widths)
        tails = [
            nn.Embedding(end - start, size)
            for (start, end), size in zip(pairwise(classes), config.tail_widths, strict=True)
        ]
        self.tails = nn.ModuleList(tails)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        self.dropout = nn.Dropout(config.dropout)
        for table in (self.embedding, self.membership, *tails):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, batch: Batch) -> Tensor:
        """Natural logarithm of the probability of every target: float32, shape = (targets that are none of padding,)"""
        inputs = self.dropout(self.embedding(batch.words) + self.membership(batch.is_in_passage))
        hidden = self.dropout(self.projection(self.dropout(self.lstm(inputs)[0])))
        is_target = batch.targets != NOT_A_TARGET
        pointed = None
        if batch.passages is not None:
            pointed, hidden = self._pointed(batch, hidden, is_target)
        log_probs = self._predicted(hidden[is_target], batch.targets[is_target]) - batch.costs[is_target]
        return log_probs if pointed is None else torch.logaddexp(log_probs + pointed[0], pointed[1])

    def _pointed(self, batch: Batch, hidden: Tensor, is_target: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        assert batch.passages is not None and batch.is_passage is not None and batch.owners is not None
        words = self.embedding(batch.passages)
        before = F.pad(words, (0, 0, 2, 0))
        keys = self.key(torch.cat([words, before[:, 1:-1], before[:, :-2]], dim=2))[batch.owners]
        logits = self.query(hidden) @ keys.transpose(1, 2) / math.sqrt(self.config.width)
        attention = logits.masked_fill(~batch.is_passage[batch.owners][:, None], NOT_THERE).log_softmax(dim=2)
        seen = attention.exp() @ words[batch.owners]
        gate = self.gate(torch.cat([hidden, seen], dim=2))[is_target][:, 0]
        is_other = batch.passages[batch.owners][:, None] != batch.targets[..., None]
        at_target = attention.masked_fill(is_other, NOT_THERE).logsumexp(dim=2)[is_target]
        return (F.logsigmoid(-gate), at_target + F.logsigmoid(gate)), hidden + self.mix(seen)

    def _predicted(self, hidden: Tensor, targets: Tensor) -> Tensor:
        targets = torch.where(targets < self.config.vocabulary, targets, UNKNOWN)
        frequent, common = self.config.frequent, self.config.common
        head = F.linear(hidden, self.embedding.weight[:frequent], self.bias[:frequent])
        head = torch.cat([head, self.to_class(hidden)], dim=1).log_softmax(dim=1)
        rank = (targets >= frequent).long() + (targets >= common)
        log_probs = head.gather(1, torch.where(rank == 0, targets, frequent + rank - 1)[:, None])[:, 0]
        for index, start in enumerate((frequent, common)):
            (rare,) = (rank == index + 1).nonzero(as_tuple=True)
            tail = self.get_parameter(f"tails.{index}.weight")
            logits = F.linear(self.to_tails[index](hidden[rare]), tail, self.bias[start : start + len(tail)])
            log_probs = log_probs.index_add(0, rare, -F.cross_entropy(logits, targets[rare] - start, reduction="none"))
        return log_probs


def kept_in_int8(network: Rescorer) -> list[str]:
    """Names of the matrices that are exported in INT8: all but those of a row or two."""
    return [name for name, tensor in network.state_dict().items() if tensor.dim() == 2 and len(tensor) > 2]
