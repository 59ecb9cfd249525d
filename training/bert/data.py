"""Training data for BERT: SQuAD questions in the forms people say them, each with a window of its context."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from convai.backends.steps.qa_tokenizer import CLASSIFY, SEPARATE, Pieces, load_tokenizer, split_pieces
from convai.backends.steps.transcripts import spoken_form
from convai.errors import InvalidArgument
from training.bert.questions import misheard_form
from training.bert.squad import read_squad

WINDOW_TOKENS = 384  # [CLS] question [SEP] context [SEP], as served
QUESTION_TOKENS = 64
TRIES = 20  # to find a passage without the answer


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
    """How often a question is seen in each form, and how many are paired with a passage that cannot answer them.

    What the shares of misheard and written questions leave over is the spoken form without errors.
    """

    misheard_share: float = 0.35
    written_share: float = 0.25
    max_word_error_rate: float = 0.35
    unanswerable_share: float = 0.12
    same_article_share: float = 0.5  # of the unanswerable: the passage is another one of the same article

    def __post_init__(self):
        for name, share in vars(self).items():
            if not 0 <= share <= 1:
                raise InvalidArgument(f"{name} must be in [0, 1], got {share}")
        if self.misheard_share + self.written_share > 1:
            raise InvalidArgument(f"misheard_share + written_share must not exceed 1, got {self}")


@dataclass(frozen=True)
class Window:
    """One training row: token ids, how many of them are the question's part, and the answer's positions.

    `start` and `end` are 0, the position of [CLS], when the window holds no answer.
    """

    ids: np.ndarray
    question_length: int
    start: int
    end: int


@dataclass(frozen=True)
class Batch:
    """Equal-length rows. `allowed` marks the tokens an answer may start or end at, and [CLS]."""

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    allowed: Tensor
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
            raise InvalidArgument(f"{squad_file} holds no question with an answer in its context")
        return corpus

    def add(self, paragraph: dict) -> None:
        article = len(self.passages_of_article) - 1
        context = paragraph["context"]
        passage = Passage(article, context, split_pieces(self.tokenizer, context))
        self.passages_of_article[article].append(len(self.passages))
        for entry in paragraph["qas"]:
            question = located_question(entry, passage, len(self.passages))
            if question is not None:
                self.questions.append(question)
        self.passages.append(passage)

    def draw(self, index: int, window_tokens: int, forms: QuestionForms, rng: np.random.Generator) -> Window:
        """Make one training row of question `index`: draw its form, its passage and a crop of `window_tokens`."""
        question = self.questions[index]
        asked = split_pieces(self.tokenizer, drawn_form(question.text, forms, rng)).ids[:QUESTION_TOKENS]
        passage, answer = self.passages[question.passage], (question.first_token, question.last_token)
        if rng.random() < forms.unanswerable_share:
            other = self.other_passage(question, forms, rng)
            passage, answer = (passage, answer) if other is None else (other, None)
        head = np.array([self.special(CLASSIFY), *asked, self.special(SEPARATE)])
        return cropped_window(head, passage.pieces.ids, answer, window_tokens, rng)

    def other_passage(self, question: Question, forms: QuestionForms, rng: np.random.Generator) -> Passage | None:
        """Pick a passage that does not hold the answer's text; None if none is found, as for the answer "a"."""
        siblings = self.passages_of_article[self.passages[question.passage].article]
        for _ in range(TRIES):
            is_sibling = rng.random() < forms.same_article_share
            candidate = siblings[rng.integers(len(siblings))] if is_sibling else rng.integers(len(self.passages))
            if question.answer.lower() not in self.passages[candidate].text.lower():
                return self.passages[candidate]
        return None

    def special(self, token: str) -> int:
        token_id = self.tokenizer.token_to_id(token)
        assert token_id is not None, token  # every BERT vocabulary has it
        return token_id


def located_question(entry: dict, passage: Passage, passage_index: int) -> Question | None:
    """Find the tokens of an entry's first answer; None if it has none or its offset does not match the text."""
    for answer in entry["answers"][:1]:
        start, text = answer["answer_start"], answer["text"]
        end = start + len(text)
        first = int(np.searchsorted(passage.pieces.spans[:, 1], start, side="right"))
        last = int(np.searchsorted(passage.pieces.spans[:, 0], end, side="left")) - 1
        if passage.text[start:end] == text and first <= last:
            return Question(entry["question"], passage_index, text, first, last)
    return None


def drawn_form(text: str, forms: QuestionForms, rng: np.random.Generator) -> str:
    """Draw a question's written, spoken or misheard form."""
    choice = rng.random()
    if choice < forms.written_share:
        return text
    spoken = spoken_form(text)
    if choice < forms.written_share + forms.misheard_share:
        return misheard_form(spoken, rng.uniform(0.03, forms.max_word_error_rate), rng)
    return spoken


def cropped_window(
    head: np.ndarray, context: np.ndarray, answer: tuple[int, int] | None, window_tokens: int, rng: np.random.Generator
) -> Window:
    """Join question and context into one window; a context too long is cropped at random around the answer.

    Parameters
    ----------
    head : int, shape = (tokens,)
        [CLS] question [SEP].
    context : int, shape = (tokens,)
    answer : first and last token of the context, or None
    """
    room = window_tokens - len(head) - 1
    first, last = answer if answer else (int(rng.integers(len(context))),) * 2
    left = crop_start(len(context), first, last, room, rng)
    ids = np.concatenate([head, context[left : left + room], head[-1:]])
    if answer is None or last >= left + room:
        return Window(ids, len(head), 0, 0)
    return Window(ids, len(head), len(head) + first - left, len(head) + last - left)


def crop_start(length: int, first: int, last: int, room: int, rng: np.random.Generator) -> int:
    """Draw where a crop of `room` of `length` tokens starts, so that it holds tokens `first` to `last` if they fit."""
    lowest = max(0, min(last + 1 - room, first))
    highest = max(lowest, min(first, length - room))
    return int(rng.integers(lowest, highest + 1))


def collate(windows: list[Window]) -> Batch:
    """Pad windows to the longest of them.

    Returns
    -------
    Batch
        Inputs int64, shape = (rows, 1, tokens), the network's; allowed bool, shape = (rows, tokens);
        start and end int64, shape = (rows,).
    """
    longest = max(len(window.ids) for window in windows)
    ids = torch.zeros(len(windows), longest, dtype=torch.int64)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    allowed = torch.zeros(ids.shape, dtype=torch.bool)
    for row, window in enumerate(windows):
        length = len(window.ids)
        ids[row, :length] = torch.from_numpy(window.ids)
        types[row, window.question_length : length] = 1
        mask[row, :length] = 1
        allowed[row, window.question_length : length - 1] = True
    allowed[:, 0] = True
    start, end = (torch.tensor([getattr(window, name) for window in windows]) for name in ("start", "end"))
    return Batch(ids[:, None], types[:, None], mask[:, None], allowed, start, end)
