"""First step of question answering: question and context become the token windows that BERT reads."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from convai.arrays import Array
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.checks import check_buckets, check_range, check_text_size, choose_bucket
from convai.errors import InvalidArgument

PAD, UNKNOWN, CLASSIFY, SEPARATE = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
MAX_QUESTION_TOKENS = 64  # of a longer question the rest is ignored
CONTEXTS_KEPT = 32  # whose pieces are cached for the next question about them: up to 0.2 MB each


class Pieces(NamedTuple):
    """The word pieces of one text."""

    ids: Array  # int64, shape = (tokens,)
    spans: Array  # int32, shape = (tokens, 2): start and end character in the text, end exclusive


class Windows(NamedTuple):
    """[CLS] question [SEP] part of the context [SEP], one row per part, padded with zeros on the right."""

    input_ids: Array  # int64, shape = (windows, tokens)
    token_type_ids: Array  # int64, shape = (windows, tokens): 1 for the context and its [SEP]
    attention_mask: Array  # int64, shape = (windows, tokens)
    token_spans: Array  # int32, shape = (windows, tokens, 2): characters in the context; (0, 0) elsewhere


def load_tokenizer(vocabulary_file: str) -> Tokenizer:
    """Load a lower-casing, accent-stripping WordPiece tokenizer from a file of one word piece per line."""
    vocabulary = WordPiece.read_file(str(vocabulary_file))
    missing = [piece for piece in (PAD, UNKNOWN, CLASSIFY, SEPARATE) if piece not in vocabulary]
    if missing:
        raise InvalidArgument(f"vocabulary_file: expected BERT's vocabulary, got one without {', '.join(missing)}")
    # No special tokens are registered, so a text that spells "[SEP]" remains plain text.
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def split_pieces(tokenizer: Tokenizer, text: str) -> Pieces:
    """Split a text into word pieces and their spans in it, counted in characters."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    spans = np.array(encoding.offsets, np.int32).reshape(-1, 2)
    if not text.isascii():
        spans[:, 1] = _find_ends_of_marks(text)[spans[:, 1]]
    return Pieces(np.array(encoding.ids, np.int64), spans)


def _find_ends_of_marks(text: str) -> Array:
    """For every position, the first one from there on without a combining mark; shape = (characters + 1,).

    The tokenizer drops combining marks, so the span of a piece that ends in one would lose its accent.
    """
    ends = np.arange(len(text) + 1, dtype=np.int32)
    for position in reversed(range(len(text))):
        if unicodedata.category(text[position]) == "Mn":
            ends[position] = ends[position + 1]
    return ends


def make_windows(
    tokenizer: Tokenizer, question: Pieces, context: Pieces, *, window_tokens: int, doc_stride: int
) -> Windows:
    """Slide over the context as BERT's run_squad does: each window begins `doc_stride` tokens after the one before.

    All rows have the length of the longest, at most `window_tokens`. Training and serving share this function.
    """
    room = window_tokens - len(question.ids) - 3
    num_windows = 1 + max(0, -(-(len(context.ids) - room) // doc_stride))
    index = doc_stride * np.arange(num_windows)[:, None] + np.arange(min(room, len(context.ids)))
    is_context = index < len(context.ids)
    index = np.where(is_context, index, 0)
    first = len(question.ids) + 2
    tokens = first + index.shape[1] + 1

    ids, types, mask = (np.zeros((num_windows, tokens), np.int64) for _ in range(3))
    spans = np.zeros((num_windows, tokens, 2), np.int32)
    separate = tokenizer.token_to_id(SEPARATE)
    ids[:, 0] = tokenizer.token_to_id(CLASSIFY)
    ids[:, 1 : first - 1] = question.ids
    ids[:, first - 1] = separate
    ids[:, first:-1] = context.ids[index] * is_context
    spans[:, first:-1] = context.spans[index] * is_context[..., None]
    ends = first + is_context.sum(axis=1)
    ids[np.arange(num_windows), ends] = separate
    mask[:] = np.arange(tokens) <= ends[:, None]
    types[:, first:] = mask[:, first:]
    return Windows(ids, types, mask, spans)


def spread_evenly(question_tokens: int, context_tokens: int, window_tokens: int, doc_stride: int) -> tuple[int, int]:
    """Choose the window length and stride with which all windows of a context are equally long.

    The number of windows and their overlap are those of the given length and stride. With these, all windows but the
    last are full, and the last is padded to their length, which costs time.
    """
    room = window_tokens - question_tokens - 3
    overlap = room - doc_stride
    num_windows = 1 + max(0, -(-(context_tokens - room) // doc_stride))
    even_room = -(-(context_tokens + overlap * (num_windows - 1)) // num_windows)
    return question_tokens + 3 + even_room, max(1, even_room - overlap)


def pad_windows(windows: Windows, num_windows: int, num_tokens: int) -> Windows:
    """Pad with zeros to `num_windows` and `num_tokens`."""
    padded = [np.zeros((num_windows, num_tokens, *array.shape[2:]), array.dtype) for array in windows]
    for target, array in zip(padded, windows, strict=True):
        target[: array.shape[0], : array.shape[1]] = array
    # One visible token per empty window: attention over no token is NaN in some engines.
    padded[2][len(windows.input_ids) :, 0] = 1
    return Windows(*padded)


@dataclass(frozen=True)
class QaTokenizer(PythonStep):
    """Question and context -> token windows in bucketed shapes, with the span of each token in the context."""

    token_buckets: Sequence[int]  # the last is the longest window
    window_buckets: Sequence[int]
    vocabulary_file: str = "vocab.txt"
    doc_stride: int = 128

    def __post_init__(self):
        check_buckets("token_buckets", self.token_buckets)
        check_buckets("window_buckets", self.window_buckets)
        # No token of the context may lie between two windows.
        check_range("doc_stride", self.doc_stride, 1, self.token_buckets[-1] - MAX_QUESTION_TOKENS - 3)
        _ = self.tokenizer  # fails at load if the vocabulary is missing or wrong

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.vocabulary_file)

    @cached_property
    def _split_context(self) -> Callable[[str], Pieces]:
        return lru_cache(CONTEXTS_KEPT)(partial(split_pieces, self.tokenizer))

    def __call__(self, *, question: str, context: str) -> dict[str, Array]:
        """Make the windows of one question; an empty question has one window without a context token.

        Returns
        -------
        input_ids, token_type_ids, attention_mask : int64, shape = (windows, tokens)
        token_spans : int32, shape = (windows, tokens, 2), characters in `context`; (0, 0) = not of the context
        """
        check_text_size("context", context)
        check_text_size("question", question)
        pieces = self._split_context(context)
        if not len(pieces.ids):
            raise InvalidArgument(f"context: expected at least one word, got none in {len(context)} characters")
        asked = Pieces(*(array[:MAX_QUESTION_TOKENS] for array in split_pieces(self.tokenizer, question)))
        if not len(asked.ids):
            pieces = asked  # an empty question has no answer
        window_tokens, doc_stride = spread_evenly(
            len(asked.ids), len(pieces.ids), self.token_buckets[-1], self.doc_stride
        )
        windows = make_windows(self.tokenizer, asked, pieces, window_tokens=window_tokens, doc_stride=doc_stride)
        num_windows, num_tokens = windows.input_ids.shape
        return pad_windows(
            windows,
            choose_bucket("context", num_windows, self.window_buckets, "windows"),
            choose_bucket("context", num_tokens, self.token_buckets, "tokens"),
        )._asdict()
