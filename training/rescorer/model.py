"""The network of the rescorer in PyTorch; `convai/backends/steps/rescorer.py` serves it in NumPy."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.backends.steps.rescorer import UNKNOWN

NOT_A_TARGET = -1
MASKED = -1e4  # logit


@dataclass(frozen=True)
class RescorerConfig:
    """
    Attributes
    ----------
    vocabulary : words and marks that are predicted, sorted by frequency
    frequent, common : words of the first class, and of the first and second
    buckets : inputs that all other words share
    tail_widths : of the output embeddings of the second class, and of the third
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
    """Sentences, all with passages or all without.

    Attributes
    ----------
    words : int64, shape = (sentences, longest + 1): END, then the sentence
    is_in_passage : int64 0 or 1, same shape
    targets : same shape: the sentence, then END; NOT_A_TARGET for padding
    costs : float32, same shape: nats for spelling a rare word
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
        """Natural logarithm of the probability of every target but padding: float32, shape = (targets,)."""
        inputs = self.dropout(self.embedding(batch.words) + self.membership(batch.is_in_passage))
        hidden = self.dropout(self.projection(self.dropout(self.lstm(inputs)[0])))
        is_target = batch.targets != NOT_A_TARGET
        pointed = None
        if batch.passages is not None:
            pointed, hidden = self._point(batch, hidden, is_target)
        log_probs = self._predict(hidden[is_target], batch.targets[is_target]) - batch.costs[is_target]
        return log_probs if pointed is None else torch.logaddexp(log_probs + pointed[0], pointed[1])

    def _point(self, batch: Batch, hidden: Tensor, is_target: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        assert batch.passages is not None and batch.is_passage is not None and batch.owners is not None
        words = self.embedding(batch.passages)
        before = F.pad(words, (0, 0, 2, 0))
        keys = self.key(torch.cat([words, before[:, 1:-1], before[:, :-2]], dim=2))[batch.owners]
        logits = self.query(hidden) @ keys.transpose(1, 2) / math.sqrt(self.config.width)
        attention = logits.masked_fill(~batch.is_passage[batch.owners][:, None], MASKED).log_softmax(dim=2)
        seen = attention.exp() @ words[batch.owners]
        gate = self.gate(torch.cat([hidden, seen], dim=2))[is_target][:, 0]
        is_other = batch.passages[batch.owners][:, None] != batch.targets[..., None]
        at_target = attention.masked_fill(is_other, MASKED).logsumexp(dim=2)[is_target]
        return (F.logsigmoid(-gate), at_target + F.logsigmoid(gate)), hidden + self.mix(seen)

    def _predict(self, hidden: Tensor, targets: Tensor) -> Tensor:
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


def names_of_int8_matrices(network: Rescorer) -> list[str]:
    """Matrices that are exported in INT8: all with more than two rows."""
    return [name for name, tensor in network.state_dict().items() if tensor.dim() == 2 and len(tensor) > 2]
