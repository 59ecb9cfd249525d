"""Training data for BERT: SQuAD questions in the forms people say them, each with a window of its context."""

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor

from convai.networks.bert.questions import misheard_form, spoken_form

WINDOW_TOKENS = 384  # [CLS] question [SEP] context [SEP], as served
QUESTION_TOKENS = 64
SPECIAL_TOKENS = 3


@dataclass(frozen=True)
class Passage:
    """One context, tokenised once. `token_ends` are character offsets, as are `token_starts`."""

    article: int
    text: str
    ids: np.ndarray
    token_starts: np.ndarray
    token_ends: np.ndarray


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
                raise ValueError(f"{name} must be in [0, 1], got {share}")
        if self.misheard_share + self.written_share > 1:
            raise ValueError(f"misheard_share + written_share must not exceed 1, got {self}")


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

    def __len__(self):
        return len(self.start)


@dataclass
class Corpus:
    """Every passage and question of a SQuAD file, tokenised."""

    tokenizer: BertWordPieceTokenizer
    passages: list[Passage] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    passages_of_article: list[list[int]] = field(default_factory=list)

    @classmethod
    def load(cls, squad_file: Path, vocab_file: Path) -> "Corpus":
        corpus = cls(BertWordPieceTokenizer(str(vocab_file), lowercase=True))
        for article in read_squad(squad_file):
            corpus.passages_of_article.append([])
            for paragraph in article["paragraphs"]:
                corpus.add(paragraph)
        if not corpus.questions:
            raise ValueError(f"{squad_file} holds no question with an answer in its context")
        return corpus

    def add(self, paragraph: dict) -> None:
        encoding = self.tokenizer.encode(paragraph["context"], add_special_tokens=False)
        offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        article = len(self.passages_of_article) - 1
        passage = Passage(
            article, paragraph["context"], np.array(encoding.ids, dtype=np.int32), offsets[:, 0], offsets[:, 1]
        )
        self.passages_of_article[article].append(len(self.passages))
        for entry in paragraph["qas"]:
            question = located_question(entry, passage, len(self.passages))
            if question is not None:
                self.questions.append(question)
        self.passages.append(passage)

    def draw(self, index: int, window_tokens: int, forms: QuestionForms, rng: np.random.Generator) -> Window:
        """Make one training row of question `index`: choose its form, its passage and a crop of at most `window_tokens`."""
        question = self.questions[index]
        ids = self.tokenizer.encode(drawn_form(question.text, forms, rng), add_special_tokens=False).ids
        if rng.random() < forms.unanswerable_share:
            passage = self.passages[self.other_passage(question, forms, rng)]
            answer = None
        else:
            passage = self.passages[question.passage]
            answer = (question.first_token, question.last_token)
        return cropped_window(self.special("[CLS]"), self.special("[SEP]"), ids, passage, answer, window_tokens, rng)

    def other_passage(self, question: Question, forms: QuestionForms, rng: np.random.Generator) -> int:
        """Pick a passage that does not hold the answer's text."""
        siblings = self.passages_of_article[self.passages[question.passage].article]
        for _ in range(20):
            if rng.random() < forms.same_article_share and len(siblings) > 1:
                candidate = siblings[rng.integers(len(siblings))]
            else:
                candidate = int(rng.integers(len(self.passages)))
            if question.answer.lower() not in self.passages[candidate].text.lower():
                return candidate
        raise ValueError(f"every passage tried holds the answer {question.answer!r}; unanswerable_share needs other ones")

    def special(self, token: str) -> int:
        return self.tokenizer.token_to_id(token)


def read_squad(squad_file: Path) -> list[dict]:
    """Read the articles of a SQuAD file, plain or gzipped."""
    opener = gzip.open if Path(squad_file).suffix == ".gz" else open
    with opener(squad_file, "rt", encoding="utf-8") as file:
        content = json.load(file)
    if "data" not in content:
        raise ValueError(f"{squad_file} is no SQuAD file: it has no 'data'")
    return content["data"]


def located_question(entry: dict, passage: Passage, passage_index: int) -> Question | None:
    """Find the tokens of an entry's first answer; None if it has none or its offset does not match the text."""
    for answer in entry["answers"][:1]:
        start, text = answer["answer_start"], answer["text"]
        end = start + len(text)
        first = int(np.searchsorted(passage.token_ends, start, side="right"))
        last = int(np.searchsorted(passage.token_starts, end, side="left")) - 1
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
    cls_id: int,
    sep_id: int,
    question_ids: list[int],
    passage: Passage,
    answer: tuple[int, int] | None,
    window_tokens: int,
    rng: np.random.Generator,
) -> Window:
    """Join question and passage into one window; a passage too long is cropped at random around the answer."""
    head = [cls_id, *question_ids[:QUESTION_TOKENS], sep_id]
    room = window_tokens - len(head) - 1
    first, last = answer if answer else (int(rng.integers(len(passage.ids))),) * 2
    left = crop_start(len(passage.ids), first, last, room, rng)
    ids = np.array([*head, *passage.ids[left : left + room], sep_id], dtype=np.int64)
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
