"""Token windows hold question and context as BERT expects, and their offsets fit the context exactly."""

from pathlib import Path

import numpy as np
import pytest

from convai.backends.steps.qa_tokenizer import QaTokenizer, spread_evenly
from convai.errors import InvalidArgument
from convai.generator.targets import Buckets

VOCABULARY_FILE = Path(__file__).parent.parent.parent / "model_repository/qa_tokenizer/1/vocab.txt"
CLASSIFY, SEPARATE = 101, 102
ODD_TEXTS = [
    "plain words, and punctuation!",
    "Café naïve İstanbul ﬁne ½ Straße",
    "e\u0301a\u0301 decomposed accents e\u0301",
    "emoji 😀 and 👨\u200d👩\u200d👧 and ❤\ufe0f and 🇩🇪.",
    "日本語 テスト 한국어 中文",
    "שלום עולם \u202bمرحبا\u202c بالعالم",
    "हिन्दी नमस्ते",
    "lines\r\nended\rin\nmany\tways",
    "zero\u200bwidth \u200d \ufeffchars \x00\x07 between",
    "  leading and trailing  ",
    "x" * 500 + " long word",
    "\U0001d518\U0001d52b\U0001d526 astral \U00020000 planes",
    "[CLS] [SEP] [PAD] [MASK] [UNK] ##ing",
]


def make_step(**parameters):
    parameters = {"vocabulary_file": str(VOCABULARY_FILE)} | parameters
    return QaTokenizer(**Buckets().parameters_of("qa_tokenizer") | parameters)


@pytest.fixture(scope="module")
def step():
    return make_step()


def words(count):
    return " ".join(f"word{number % 10}" for number in range(count // 2))  # two pieces each


def context_spans(result):
    spans = result["token_spans"].reshape(-1, 2)
    return spans[spans[:, 1] > spans[:, 0]]


def test_a_window_is_cls_question_sep_context_sep(step):
    result = step(question="Who sat?", context="The cat sat.")
    assert result["input_ids"][0, :11].tolist() == [
        CLASSIFY, 2040, 2938, 1029, SEPARATE, 1996, 4937, 2938, 1012, SEPARATE, 0,
    ]  # fmt: skip
    assert result["token_type_ids"][0, :11].tolist() == [0] * 5 + [1] * 5 + [0]
    assert result["attention_mask"][0, :11].tolist() == [1] * 10 + [0]
    assert result["token_spans"][0, 5:9].tolist() == [[0, 3], [4, 7], [8, 11], [11, 12]]
    assert not result["token_spans"][0, [*range(5), *range(9, 64)]].any()


@pytest.mark.parametrize("context", ODD_TEXTS)
def test_every_letter_and_digit_of_the_context_is_inside_a_span(step, context):
    covered = np.zeros(len(context), bool)
    for start, end in context_spans(step(question="what", context=context)):
        assert context[start:end].strip() == context[start:end] != ""
        covered[start:end] = True
    assert all(covered[i] for i, character in enumerate(context) if character.isalnum())


def test_special_tokens_written_in_a_text_remain_text(step):
    result = step(question="[SEP]", context="[CLS] [SEP] [PAD]")
    assert (result["input_ids"] == SEPARATE).sum() == 2
    assert (result["input_ids"] == CLASSIFY).sum() == 1


@pytest.mark.parametrize(("context_tokens", "shape"), [(58, (1, 64)), (60, (1, 96)), (378, (1, 384))])
def test_a_window_takes_the_smallest_bucket(step, context_tokens, shape):
    result = step(question="which word", context=words(context_tokens))
    assert {name: array.shape[:2] for name, array in result.items()} == dict.fromkeys(result, shape)


def test_the_number_of_windows_is_bucketed_and_empty_windows_see_one_token():
    step = make_step(window_buckets=[1, 8])
    result = step(question="which word", context=words(600))
    assert result["input_ids"].shape[0] == 8
    assert result["attention_mask"].sum(axis=1)[:3].min() > 300
    assert result["attention_mask"][3:].sum(axis=1).tolist() == [1] * 5
    assert not result["token_spans"][3:].any()


@pytest.mark.parametrize("doc_stride", [1, 128, 379])
@pytest.mark.parametrize("context_tokens", [1, 379, 380, 508, 4000])
def test_even_windows_have_the_number_and_overlap_of_full_ones_and_cover_the_context(context_tokens, doc_stride):
    room = 384 - 2 - 3
    full = 1 + max(0, -(-(context_tokens - room) // doc_stride))
    window_tokens, stride = spread_evenly(2, context_tokens, 384, doc_stride)
    even_room = window_tokens - 2 - 3
    assert even_room <= room
    assert 1 + max(0, -(-(context_tokens - even_room) // stride)) <= full
    assert (full - 1) * stride + even_room >= context_tokens
    if full > 1:
        assert even_room - stride == room - doc_stride


def test_a_long_question_is_cut(step):
    result = step(question=words(200), context="short")
    assert (result["attention_mask"] * (1 - result["token_type_ids"])).sum() == 1 + 64 + 1


@pytest.mark.parametrize("question", ["", "  \n", "\u200b"])
def test_an_empty_question_has_no_context_token(step, question):
    result = step(question=question, context=words(1000))
    assert result["input_ids"].shape == (1, 64)
    assert not result["token_spans"].any()
    assert result["attention_mask"].any()


@pytest.mark.parametrize(
    ("question", "context", "message"),
    [
        ("who", "", "context: expected at least one word, got none in 0 characters"),
        ("who", " \r\n\t", "context: expected at least one word, got none in 4 characters"),
        ("who", "\u200b\u200d", "context: expected at least one word, got none in 2 characters"),
        ("who", "x" * 32_766 + "語", "context: expected at most 32768 bytes of UTF-8, got 32769"),
        ("x" * 32_769, "word", "question: expected at most 32768 bytes of UTF-8, got 32769"),
        ("who", "." * 32_768, "context: expected at most 128 windows, got 255"),
    ],
)
def test_texts_that_cannot_be_processed_are_refused(step, question, context, message):
    with pytest.raises(InvalidArgument, match=message):
        step(question=question, context=context)


@pytest.mark.parametrize("wrong", [{"doc_stride": 318}, {"token_buckets": []}, {"window_buckets": [2, 1]}])
def test_a_wrong_parameter_is_named(wrong):
    with pytest.raises(InvalidArgument, match=f"^{next(iter(wrong))}: expected"):
        make_step(**wrong)


def test_a_vocabulary_without_the_special_pieces_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\nword\n")
    with pytest.raises(InvalidArgument, match=r"expected BERT's vocabulary, got one without \[UNK\], \[CLS\], \[SEP\]"):
        make_step(vocabulary_file=str(tmp_path / "vocab.txt"))
