"""What the rescorer is told about a batch: how unlikely it found each of its words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from convai.backends.steps.rescorer import END, spelling_cost
from training.common.batches import Batches, BatchLimits
from training.common.training import Schedule, Training
from training.rescorer.corpus import Corpus, Texts
from training.rescorer.model import NOT_A_TARGET, Batch, Rescorer, RescorerConfig, kept_in_int8

LONGEST_SENTENCE = 40  # words


@dataclass(frozen=True)
class Recipe:
    """Every number that training depends on, besides the texts.

    batch_words : of a step, padding included
    question_share : of the steps, which show questions with their passages
    general_share : of the other steps, which show general texts
    wide_share : of the questions' steps, in which a passage stands among up to two neighbours on either side
    unrelated_share : of the sentences of the questions' steps, which have nothing to do with the passage
    longest_unrelated : words
    longest_passage : words; what is beyond is cut off
    """

    config: RescorerConfig = field(default_factory=RescorerConfig)
    batch_words: int = 2500
    question_share: float = 0.22
    general_share: float = 0.5
    wide_share: float = 0.2
    unrelated_share: float = 0.15
    longest_unrelated: int = 16
    longest_passage: int = 700
    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=11_000, peak_rate=2e-3, warm_up_steps=300, decay_share=0.5)
    )


class Steps:
    """The batch of every step; which kind of text it shows follows from its number alone."""

    def __init__(self, corpus: Corpus, recipe: Recipe):
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
        """As long as all their questions."""
        return self._batches(np.add.reduceat(self.corpus.questions.lengths + 1, self.first_questions[:-1]))

    @cached_property
    def unrelated(self) -> np.ndarray:
        return np.flatnonzero(self.corpus.sentences.lengths <= self.recipe.longest_unrelated)

    def _batches(self, words: np.ndarray, longest: float = float("inf")) -> Batches:
        limits = BatchLimits(self.recipe.batch_words, longest)
        return Batches(words.tolist(), limits, limits, 0, self.recipe.schedule.seed)

    def at(self, step: int) -> Batch:
        asked, rest = parted(step, self.recipe.question_share)
        if asked is not None:
            rng = np.random.default_rng((self.recipe.schedule.seed, step))
            return self.about_passages(self.passages.at(asked), rng)
        general, other = parted(rest, self.recipe.general_share if len(self.corpus.general) else 0)
        if general is not None:
            return self.plain(self.corpus.general, self.general.at(general))
        return self.plain(self.corpus.sentences, self.sentences.at(other))

    def plain(self, texts: Texts, chosen: Sequence[int] | np.ndarray) -> Batch:
        """Sentences without a passage."""
        return Batch(**sentences_of([texts.at(index) for index in chosen], self.size))

    def about_passages(self, chosen: Sequence[int] | np.ndarray, rng: np.random.Generator | None = None) -> Batch:
        """All questions of the chosen passages; with an rng also what the recipe mixes in."""
        passages = [self.corpus.passages.at(index)[0] for index in chosen]
        if rng and rng.random() < self.recipe.wide_share:
            passages = [self._among_neighbours(index, rng) for index in chosen]
        passages = [passage[: self.recipe.longest_passage] for passage in passages]
        spans = [range(*self.first_questions[index : index + 2]) for index in chosen]
        sentences = [self.corpus.questions.at(question) for span in spans for question in span]
        owners = np.repeat(np.arange(len(spans)), list(map(len, spans)))
        if rng:
            count = round(len(sentences) * self.recipe.unrelated_share / (1 - self.recipe.unrelated_share))
            sentences += [self.corpus.sentences.at(index) for index in rng.choice(self.unrelated, count)]
            owners = np.append(owners, rng.integers(0, len(spans), count))
        tensors = sentences_of(sentences, self.size)
        is_passage = np.arange(max(map(len, passages))) < np.array([[len(row)] for row in passages])
        joined = np.full(is_passage.shape, END)
        joined[is_passage] = np.concatenate(passages)
        words = tensors["words"].numpy()
        is_in_passage = [np.isin(row, passages[owner]) for row, owner in zip(words, owners, strict=True)]
        tensors["is_in_passage"] = torch.from_numpy(np.array(is_in_passage).astype(np.int64))
        return Batch(
            **tensors,
            passages=torch.from_numpy(joined),
            is_passage=torch.from_numpy(is_passage),
            owners=torch.from_numpy(owners),
        )

    def _among_neighbours(self, index: int, rng: np.random.Generator) -> np.ndarray:
        before, after = rng.integers(0, 3, 2)
        around = range(max(0, index - before), min(len(self.corpus.passages), index + after + 1))
        return np.concatenate([self.corpus.passages.at(one)[0] for one in around])


def parted(step: int, share: float) -> tuple[int | None, int]:
    """Of steps of which a share is special: the number of this one among these, if it is one, and among the others."""
    before, after = int(step * share), int((step + 1) * share)
    return (before if after > before else None), step - before


def sentences_of(sentences: Sequence[tuple[np.ndarray, np.ndarray]], size: int) -> dict[str, Tensor]:
    """What every batch holds, from the places and letters of each sentence."""
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


def training_of(recipe: Recipe, corpus: Corpus) -> Training[Rescorer]:
    """A run that begins with a random network."""
    torch.manual_seed(recipe.schedule.seed)
    network = Rescorer(recipe.config)
    steps = Steps(corpus, recipe)

    def losses(network: Rescorer, step: int) -> dict[str, Tensor]:
        batch = steps.at(step)
        loss = -network(batch).mean()
        return {"loss": loss, "sentences" if batch.passages is None else "questions": loss}

    return Training(network, recipe.schedule, losses, int8=kept_in_int8(network))


@torch.inference_mode()
def perplexities(network: Rescorer, corpus: Corpus, passages: int = 200) -> dict[str, float]:
    """Of the questions of a corpus about its first passages, with the passage and without."""
    steps = Steps(corpus, Recipe(network.config))
    told, untold = [], []
    for start in range(0, min(passages, len(corpus.passages)), 20):
        chosen = range(start, min(start + 20, len(corpus.passages)))
        told.append(network(steps.about_passages(chosen)))
        first, last = steps.first_questions[chosen[0]], steps.first_questions[chosen[-1] + 1]
        untold.append(network(steps.plain(corpus.questions, range(first, last))))
    return {
        name: round(float(torch.exp(-torch.cat(log_probs).mean())), 1)
        for name, log_probs in (("with_passage", told), ("without", untold))
    }
