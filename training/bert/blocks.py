"""Which questions each training step sees, and in which windows: rows of like length share a batch."""

import numpy as np

from training.bert.data import WINDOW_TOKENS, Batch, Corpus, collate
from training.bert.recipe import Recipe


class Blocks:
    """The batches of a run, by the number of their step.

    A window's length is drawn with its form, so batches are drawn a block at a time and sorted within it.
    """

    def __init__(self, corpus: Corpus, recipe: Recipe):
        self.corpus, self.recipe = corpus, recipe
        self.block, self.batches = -1, []

    def at(self, step: int) -> Batch:
        block, place = divmod(step, self.recipe.block_batches)
        if block != self.block:
            self.block, self.batches = block, self._drawn(block)
        return self.batches[place]

    def _drawn(self, block: int) -> list[Batch]:
        recipe, seed = self.recipe, self.recipe.schedule.seed
        rng = np.random.default_rng((seed, block))
        rows = recipe.block_batches * recipe.batch_rows
        short_share = recipe.short_share(block * recipe.block_batches)
        windows = []
        for index in question_order(len(self.corpus.questions), block * rows, rows, seed):
            limit = recipe.short_window_tokens if rng.random() < short_share else WINDOW_TOKENS
            windows.append(self.corpus.draw(index, limit, recipe.forms, rng))
        windows.sort(key=lambda window: len(window.ids))
        starts = rng.permutation(np.arange(0, rows, recipe.batch_rows))
        return [collate(windows[start : start + recipe.batch_rows]) for start in starts]


def question_order(count: int, begin: int, rows: int, seed: int) -> list[int]:
    """Which questions rows `begin` to `begin + rows` of the run see: every epoch is a permutation of its own."""
    epochs = range(begin // count, (begin + rows - 1) // count + 1)
    order = np.concatenate([np.random.default_rng((seed, 1, epoch)).permutation(count) for epoch in epochs])
    offset = begin - epochs[0] * count
    return order[offset : offset + rows].tolist()
