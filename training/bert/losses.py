"""What BERT is told about a batch of windows."""

import math

import torch.nn.functional as F
from torch import Tensor

from training.bert.data import Batch


def span_loss(start_logits: Tensor, end_logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of the answer's start and end over the context's tokens and [CLS], averaged over both and rows."""
    losses = [
        F.cross_entropy(among_allowed(logits, batch), target)
        for logits, target in ((start_logits, batch.start), (end_logits, batch.end))
    ]
    return (losses[0] + losses[1]) / 2


def among_allowed(logits: Tensor, batch: Batch) -> Tensor:
    """Logits of shape (rows, 1, tokens) as (rows, tokens), where no answer may start or end without a chance."""
    return logits[:, 0].float().masked_fill(~batch.allowed, -math.inf)
