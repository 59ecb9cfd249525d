from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.speed.baselines import BASELINES, BaselineSetup, client
from benchmarks.speed.baselines.client import PACKAGES, open_baseline
from benchmarks.speed.baselines.wire import answer_body, pack_question, unpack_answer
from benchmarks.speed.paths import is_same_answer
from benchmarks.speed.question_set import Question
from convai.client.answer import Answer
from convai.errors import InvalidArgument

QUESTION = Question(np.linspace(-1, 1, 1600, dtype=np.float32), 16_000, "Ada wrote it — once.")
ANSWER = Answer("who", "Ada — once", 0.5, (0, 3), np.linspace(0, 1, 100, dtype=np.float32))


class Echo:
    """Answers with the request's own values."""

    def run(self, request):
        audio, rate, context = (request.inputs[name][0] for name in ("question_audio", "sample_rate", "context"))
        return SimpleNamespace(answer=Answer(f"{rate[0]} Hz", context[0].decode(), 0.5, (0, 3), audio))


def test_question_and_answer_survive_the_http_bodies():
    answer = unpack_answer(answer_body(Echo(), pack_question(QUESTION)))
    assert (answer.question, answer.answer) == ("16000 Hz", QUESTION.context)
    assert (answer.answer_score, answer.answer_span) == (0.5, (0, 3))
    np.testing.assert_array_equal(answer.answer_audio, QUESTION.audio)


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"answer_audio": ANSWER.answer_audio + 5e-4}, True),
        ({"answer_audio": ANSWER.answer_audio + 5e-3}, False),
        ({"answer_audio": ANSWER.answer_audio[1:]}, False),
        ({"answer_audio": None}, False),
        ({"question": "whom"}, False),
        ({"answer": "Ada"}, False),
        ({"answer_span": (4, 7)}, False),
    ],
)
def test_answers_differ_by_a_letter_or_by_more_than_a_thousandth_of_full_scale(change, is_same):
    assert is_same_answer(Answer(**vars(ANSWER) | change), ANSWER) == is_same


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_baseline_that_is_not_installed_names_the_extra(baseline, monkeypatch):
    monkeypatch.setattr(client, "find_spec", lambda package: None)
    with pytest.raises(InvalidArgument, match=rf"{PACKAGES[baseline][0]} is not installed.*\.\[baselines\]"):
        open_baseline(baseline, BaselineSetup("", "")).__enter__()
