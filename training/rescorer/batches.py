"""Chooses the sentences of each training step of the rescorer, and the passages beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from convai.backends.steps.rescorer import END, spelling_cost
from training.common.batches import Batches, BatchLimits
from training.common.training import Recipe, Schedule
from training.rescorer.corpus import Corpus, Texts
from training.rescorer.model import NOT_A_TARGET, Batch, RescorerConfig

LONGEST_SENTENCE = 40  # words


@dataclass(frozen=True)
class RescorerRecipe(Recipe):
    """
    Attributes
    ----------
    batch_words : of a step, padding included
    question_share : of the steps that show questions with their passages
    general_share : of the other steps, those that show general texts
    wide_share : of the question steps in which a passage has up to two neighbours on either side
    unrelated_share : of the sentences of the question steps that are unrelated to the passage
    longest_unrelated : words
    longest_passage : words; the rest is cut off
    """

    schedule: Schedule = Schedule(steps=11_000, peak_rate=2e-3, warm_up_steps=300, decay_share=0.5)
    config: RescorerConfig = RescorerConfig()
    batch_words: int = 2500
    question_share: float = 0.22
    general_share: float = 0.5
    wide_share: float = 0.2
    unrelated_share: float = 0.15
    longest_unrelated: int = 16
    longest_passage: int = 700


class RescorerBatches:
    """The batch of every step; its kind of text follows from its number alone."""

    def __init__(self, corpus: Corpus, recipe: RescorerRecipe):
        self.corpus, self.recipe = corpus, recipe
        self.size = recipe.config.vocabulary
        self.first_questions = np.searchsorted(corpus.owners, np.arange(len(corpus.passages) + 1))

    @cached_property
    def sentences(self) -> Batches:
        return self._batches(self.corpus.sentences.lengths + 1, LONGEST_SENTENCE)

    @cached_property
    def general(self) -> Batches:
        return self._batches(self.corpus.general.lengths + 1, LONGEST_SENTENCE)

    @cached_property
    def passages(self) -> Batches:
        """Passages, each as long as all its questions."""
        return self._batches(np.add.reduceat(self.corpus.questions.lengths + 1, self.first_questions[:-1]))

    @cached_property
    def unrelated(self) -> np.ndarray:
        return np.flatnonzero(self.corpus.sentences.lengths <= self.recipe.longest_unrelated)

    def _batches(self, words: np.ndarray, longest: float = float("inf")) -> Batches:
        limits = BatchLimits(self.recipe.batch_words, longest)
        return Batches(words.tolist(), limits, limits, 0, self.recipe.schedule.seed)

    def at(self, step: int) -> Batch:
        passage_step, rest = split_step(step, self.recipe.question_share)
        if passage_step is not None:
            rng = np.random.default_rng((self.recipe.schedule.seed, step))
            return self.show_passages(self.passages.at(passage_step), rng)
        general, other = split_step(rest, self.recipe.general_share if len(self.corpus.general) else 0)
        if general is not None:
            return self.show_texts(self.corpus.general, self.general.at(general))
        return self.show_texts(self.corpus.sentences, self.sentences.at(other))

    def show_texts(self, texts: Texts, chosen: Sequence[int] | np.ndarray) -> Batch:
        """Sentences without a passage."""
        return Batch(**to_tensors([texts.at(index) for index in chosen], self.size))

    def show_passages(self, chosen: Sequence[int] | np.ndarray, rng: np.random.Generator | None = None) -> Batch:
        """All questions of the chosen passages; with an rng also unrelated sentences and neighbours."""
        passages = [self.corpus.passages.at(index)[0] for index in chosen]
        if rng and rng.random() < self.recipe.wide_share:
            passages = [self._join_neighbours(index, rng) for index in chosen]
        passages = [passage[: self.recipe.longest_passage] for passage in passages]
        spans = [range(*self.first_questions[index : index + 2]) for index in chosen]
        sentences = [self.corpus.questions.at(question) for span in spans for question in span]
        owners = np.repeat(np.arange(len(spans)), list(map(len, spans)))
        if rng:
            count = round(len(sentences) * self.recipe.unrelated_share / (1 - self.recipe.unrelated_share))
            sentences += [self.corpus.sentences.at(index) for index in rng.choice(self.unrelated, count)]
            owners = np.append(owners, rng.integers(0, len(spans), count))
        tensors = to_tensors(sentences, self.size)
        is_passage = np.arange(max(map(len, passages))) < np.array([[len(row)] for row in passages])
        padded = np.full(is_passage.shape, END)
        padded[is_passage] = np.concatenate(passages)
        words = tensors["words"].numpy()
        is_in_passage = [np.isin(row, passages[owner]) for row, owner in zip(words, owners, strict=True)]
        tensors["is_in_passage"] = torch.from_numpy(np.array(is_in_passage).astype(np.int64))
        return Batch(
            **tensors,
            passages=torch.from_numpy(padded),
            is_passage=torch.from_numpy(is_passage),
            owners=torch.from_numpy(owners),
        )

    def _join_neighbours(self, index: int, rng: np.random.Generator) -> np.ndarray:
        before, after = rng.integers(0, 3, 2)
        around = range(max(0, index - before), min(len(self.corpus.passages), index + after + 1))
        return np.concatenate([self.corpus.passages.at(one)[0] for one in around])


def split_step(step: int, share: float) -> tuple[int | None, int]:
    """Number of a step among those of a share, None if it is not one of them, and among the other steps."""
    before, after = int(step * share), int((step + 1) * share)
    return (before if after > before else None), step - before


def to_tensors(sentences: Sequence[tuple[np.ndarray, np.ndarray]], size: int) -> dict[str, Tensor]:
    """The tensors that every batch has, from the places and letters of each sentence."""
    lengths = np.array([[len(places)] for places, _ in sentences])
    columns = np.arange(lengths.max() + 1)
    words = np.full((len(sentences), len(columns)), END)
    targets, costs = np.full_like(words, NOT_A_TARGET), np.zeros(words.shape, np.float32)
    places = np.concatenate([places for places, _ in sentences])
    letters = np.concatenate([letters for _, letters in sentences]).astype(np.int64)
    words[(columns > 0) & (columns <= lengths)] = places
    targets[columns < lengths], targets[columns == lengths] = places, END
    costs[columns < lengths] = spelling_cost(places, letters, size)
    arrays = {"words": words, "is_in_passage": np.zeros_like(words), "targets": targets, "costs": costs}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
