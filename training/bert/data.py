"""Training data for BERT: SQuAD questions as written, spoken or misrecognised, in windows of their contexts."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from convai.backends.steps.qa_tokenizer import CLASSIFY, SEPARATE, Pieces, load_tokenizer, split_pieces
from convai.backends.steps.transcripts import spoken_form
from convai.errors import InvalidArgument
from training.bert.questions import misrecognise
from training.common.texts import read_squad
from training.common.training import Recipe, Schedule

WINDOW_TOKENS = 384  # [CLS] question [SEP] context [SEP], as served
QUESTION_TOKENS = 64
ATTEMPTS = 20  # to find a passage without the answer


@dataclass(frozen=True)
class Passage:
    """One context, tokenised once."""

    article: int
    text: str
    pieces: Pieces


@dataclass(frozen=True)
class Question:
    """A question and the tokens of its passage, first and last, that answer it."""

    text: str
    passage: int
    answer: str
    first_token: int
    last_token: int


@dataclass(frozen=True)
class QuestionForms:
    """Shares of the questions seen in each form, and of those paired with a passage that cannot answer them.

    The remaining questions are seen in spoken form without errors.
    """

    misrecognised_share: float = 0.35
    written_share: float = 0.25
    max_word_error_rate: float = 0.35
    unanswerable_share: float = 0.12
    same_article_share: float = 0.5  # of the unanswerable: the passage is another one of the same article


@dataclass(frozen=True)
class BertRecipe(Recipe):
    """
    Windows grow during training. Short crops around the answer cost a third of a full window, so most questions are
    seen in them; towards the end full windows teach the positions and distractors of serving.

    Attributes
    ----------
    block_batches : drawn together, so that rows of similar length share a batch
    """

    schedule: Schedule = Schedule(
        steps=2_290,
        peak_rate=1.5e-4,
        warm_up_steps=92,
        decay_share=0.96,
        decay="linear",
        weight_decay=1e-2,
        average_decay=0.0,  # the last weights: the rate has fallen long enough to need no average
    )
    batch_rows: int = 16  # questions
    block_batches: int = 16
    short_window_tokens: int = 112
    short_share_at_start: float = 0.95
    short_share_at_end: float = 0.15
    forms: QuestionForms = QuestionForms()

    def short_share(self, step: int) -> float:
        """The share of short windows at a step."""
        progress = min(1.0, step / self.schedule.steps)
        return self.short_share_at_start + (self.short_share_at_end - self.short_share_at_start) * progress


@dataclass(frozen=True)
class Window:
    """One training row.

    Attributes
    ----------
    ids : int, shape = (tokens,)
    question_length : tokens of [CLS] question [SEP]
    start, end : positions of the answer; 0, that of [CLS], if the window holds none
    """

    ids: np.ndarray
    question_length: int
    start: int
    end: int


@dataclass(frozen=True)
class Batch:
    """Windows padded to equal length.

    Attributes
    ----------
    input_ids, token_type_ids, attention_mask : int64, shape = (rows, 1, tokens)
    candidates : bool, shape = (rows, tokens), tokens at which an answer may start or end, and [CLS]
    start, end : int64, shape = (rows,)
    """

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    candidates: Tensor
    start: Tensor
    end: Tensor

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class Corpus:
    """Every passage and question of a SQuAD file, tokenised."""

    tokenizer: Tokenizer
    passages: list[Passage] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    passages_of_article: list[list[int]] = field(default_factory=list)

    @classmethod
    def load(cls, squad_file: Path, vocab_file: Path) -> "Corpus":
        corpus = cls(load_tokenizer(str(vocab_file)))
        for article in read_squad(squad_file):
            corpus.passages_of_article.append([])
            for paragraph in article["paragraphs"]:
                corpus.add(paragraph)
        if not corpus.questions:
            raise InvalidArgument(f"{squad_file}: expected questions with answers in their contexts, got none")
        return corpus

    def add(self, paragraph: dict) -> None:
        article = len(self.passages_of_article) - 1
        context = paragraph["context"]
        passage = Passage(article, context, split_pieces(self.tokenizer, context))
        self.passages_of_article[article].append(len(self.passages))
        for entry in paragraph["qas"]:
            question = locate_answer(entry, passage, len(self.passages))
            if question is not None:
                self.questions.append(question)
        self.passages.append(passage)

    def draw(self, index: int, window_tokens: int, forms: QuestionForms, rng: np.random.Generator) -> Window:
        """Make a training row of question `index`: draw its form, its passage and a crop of `window_tokens`."""
        question = self.questions[index]
        asked = split_pieces(self.tokenizer, draw_form(question.text, forms, rng)).ids[:QUESTION_TOKENS]
        passage, answer = self.passages[question.passage], (question.first_token, question.last_token)
        if rng.random() < forms.unanswerable_share:
            other = self.draw_other_passage(question, forms, rng)
            passage, answer = (passage, answer) if other is None else (other, None)
        head = np.array([self.special(CLASSIFY), *asked, self.special(SEPARATE)])
        return crop_window(head, passage.pieces.ids, answer, window_tokens, rng)

    def draw_other_passage(self, question: Question, forms: QuestionForms, rng: np.random.Generator) -> Passage | None:
        """Draw a passage without the answer's text; None if none is found, as for the answer "a"."""
        siblings = self.passages_of_article[self.passages[question.passage].article]
        for _ in range(ATTEMPTS):
            is_sibling = rng.random() < forms.same_article_share
            candidate = siblings[rng.integers(len(siblings))] if is_sibling else rng.integers(len(self.passages))
            if question.answer.lower() not in self.passages[candidate].text.lower():
                return self.passages[candidate]
        return None

    def special(self, token: str) -> int:
        token_id = self.tokenizer.token_to_id(token)
        assert token_id is not None, token  # every BERT vocabulary has it
        return token_id


def locate_answer(entry: dict, passage: Passage, passage_index: int) -> Question | None:
    """Find the tokens of an entry's first answer; None if it has none or its offset does not match the text."""
    for answer in entry["answers"][:1]:
        start, text = answer["answer_start"], answer["text"]
        end = start + len(text)
        first = int(np.searchsorted(passage.pieces.spans[:, 1], start, side="right"))
        last = int(np.searchsorted(passage.pieces.spans[:, 0], end, side="left")) - 1
        if passage.text[start:end] == text and first <= last:
            return Question(entry["question"], passage_index, text, first, last)
    return None


def draw_form(text: str, forms: QuestionForms, rng: np.random.Generator) -> str:
    """Draw a question's written, spoken or misrecognised form."""
    choice = rng.random()
    if choice < forms.written_share:
        return text
    spoken = spoken_form(text)
    if choice < forms.written_share + forms.misrecognised_share:
        return misrecognise(spoken, rng.uniform(0.03, forms.max_word_error_rate), rng)
    return spoken


def crop_window(
    head: np.ndarray, context: np.ndarray, answer: tuple[int, int] | None, window_tokens: int, rng: np.random.Generator
) -> Window:
    """Join question and context into one window; a context that is too long is cropped at random around the answer.

    Parameters
    ----------
    head : int, shape = (tokens,)
        [CLS] question [SEP].
    context : int, shape = (tokens,)
    answer : first and last token of the context, or None
    """
    room = window_tokens - len(head) - 1
    first, last = answer if answer else (int(rng.integers(len(context))),) * 2
    left = draw_crop_start(len(context), first, last, room, rng)
    ids = np.concatenate([head, context[left : left + room], head[-1:]])
    if answer is None or last >= left + room:
        return Window(ids, len(head), 0, 0)
    return Window(ids, len(head), len(head) + first - left, len(head) + last - left)


def draw_crop_start(length: int, first: int, last: int, room: int, rng: np.random.Generator) -> int:
    """Draw where a crop of `room` of `length` tokens starts, so that it holds tokens `first` to `last` if they fit."""
    lowest = max(0, min(last + 1 - room, first))
    highest = max(lowest, min(first, length - room))
    return int(rng.integers(lowest, highest + 1))


def collate(windows: list[Window]) -> Batch:
    """Pad windows to the longest of them."""
    longest = max(len(window.ids) for window in windows)
    ids = torch.zeros(len(windows), longest, dtype=torch.int64)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    candidates = torch.zeros(ids.shape, dtype=torch.bool)
    for row, window in enumerate(windows):
        length = len(window.ids)
        ids[row, :length] = torch.from_numpy(window.ids)
        types[row, window.question_length : length] = 1
        mask[row, :length] = 1
        candidates[row, window.question_length : length - 1] = True
    candidates[:, 0] = True
    start, end = (torch.tensor([getattr(window, name) for window in windows]) for name in ("start", "end"))
    return Batch(ids[:, None], types[:, None], mask[:, None], candidates, start, end)


class WindowBatches:
    """The batches of a run, by the number of their step.

    A window's length is drawn with its form, so batches are drawn a block at a time and sorted within it.
    """

    def __init__(self, corpus: Corpus, recipe: BertRecipe):
        self.corpus, self.recipe = corpus, recipe
        self.block, self.batches = -1, []

    def at(self, step: int) -> Batch:
        block, place = divmod(step, self.recipe.block_batches)
        if block != self.block:
            self.block, self.batches = block, self._draw_block(block)
        return self.batches[place]

    def _draw_block(self, block: int) -> list[Batch]:
        recipe, seed = self.recipe, self.recipe.schedule.seed
        rng = np.random.default_rng((seed, block))
        rows = recipe.block_batches * recipe.batch_rows
        short_share = recipe.short_share(block * recipe.block_batches)
        windows = []
        for index in order_questions(len(self.corpus.questions), block * rows, rows, seed):
            limit = recipe.short_window_tokens if rng.random() < short_share else WINDOW_TOKENS
            windows.append(self.corpus.draw(index, limit, recipe.forms, rng))
        windows.sort(key=lambda window: len(window.ids))
        starts = rng.permutation(np.arange(0, rows, recipe.batch_rows))
        return [collate(windows[start : start + recipe.batch_rows]) for start in starts]


def order_questions(count: int, begin: int, rows: int, seed: int) -> list[int]:
    """Questions of rows `begin` to `begin + rows` of the run; every epoch is a permutation of its own."""
    epochs = range(begin // count, (begin + rows - 1) // count + 1)
    order = np.concatenate([np.random.default_rng((seed, 1, epoch)).permutation(count) for epoch in epochs])
    offset = begin - epochs[0] * count
    return order[offset : offset + rows].tolist()
