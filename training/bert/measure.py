"""How well a BERT in training answers questions that it does not learn from."""

import numpy as np
import torch

from convai.errors import InvalidArgument
from convai.networks.bert.model import Bert
from training.bert.data import WINDOW_TOKENS, Batch, Corpus, QuestionForms, collate
from training.bert.losses import among_allowed, span_loss

ROWS_PER_BATCH = 8
AS_SPOKEN = QuestionForms(misheard_share=0, written_share=0, unanswerable_share=0)


def dev_batches(corpus: Corpus, count: int) -> list[Batch]:
    """Spoken questions in whole windows with their answer, taken from all over the corpus, always the same ones."""
    if count < 1:
        raise InvalidArgument(f"questions to measure on must be at least 1, got {count}")
    rng = np.random.default_rng(0)
    chosen = range(0, len(corpus.questions), max(1, len(corpus.questions) // count))[:count]
    windows = [corpus.draw(index, WINDOW_TOKENS, AS_SPOKEN, rng) for index in chosen]
    return [collate(windows[start : start + ROWS_PER_BATCH]) for start in range(0, len(windows), ROWS_PER_BATCH)]


@torch.inference_mode()
def measure(network: Bert, batches: list[Batch]) -> dict[str, float]:
    """The loss, and the share of questions whose likeliest start and end are both the answer's; nothing of nothing."""
    if not batches:
        return {}
    rows, loss, right = 0, 0.0, 0
    for batch in batches:
        logits = network(batch.input_ids, batch.token_type_ids, batch.attention_mask)
        start, end = (among_allowed(one, batch).argmax(1) for one in logits)
        rows += len(batch)
        loss += len(batch) * span_loss(logits[0], logits[1], batch).item()
        right += int(((start == batch.start) & (end == batch.end)).sum())
    return {"loss": round(loss / rows, 4), "right": round(right / rows, 4)}
