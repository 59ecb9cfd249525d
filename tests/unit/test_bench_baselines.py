import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from benchmarks.speed.baselines import BASELINES, BaselineSetup, client
from benchmarks.speed.baselines.client import PACKAGES, HttpPath, open_baseline
from benchmarks.speed.baselines.wire import answer_body, pack_question, unpack_answer
from benchmarks.speed.measured_server import read_processor_seconds
from benchmarks.speed.paths import is_same_answer
from benchmarks.speed.question_set import Question, build_default_contexts, read_questions
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


def test_each_question_goes_to_the_server_with_the_fewest_in_flight():
    path = HttpPath([SimpleNamespace(port=1), SimpleNamespace(port=2)])
    with path.reserve_port() as first, path.reserve_port() as second:
        assert {first, second} == {1, 2}
        with path.reserve_port():
            assert sorted(path.in_flight.values()) == [1, 2]
    assert set(path.in_flight.values()) == {0}


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_baseline_that_is_not_installed_names_the_extra(baseline, monkeypatch):
    monkeypatch.setattr(client, "find_spec", lambda package: None)
    with pytest.raises(InvalidArgument, match=rf"{PACKAGES[baseline][0]} is not installed.*\.\[baselines\]"):
        open_baseline(baseline, BaselineSetup("", "")).__enter__()


def test_processor_time_is_that_of_the_processes_and_of_none_that_has_ended():
    before, deadline = read_processor_seconds([os.getpid()]), time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    assert read_processor_seconds([os.getpid()]) - before >= 0.08
    assert read_processor_seconds([2**22 + 1]) == 0  # above the highest process id of Linux


def test_default_questions_last_one_to_eight_seconds_about_contexts_of_every_size():
    questions = read_questions(None)
    seconds = [question.seconds for question in questions]
    words = sorted(len(question.context.split()) for question in questions)
    assert min(seconds) == pytest.approx(1, abs=0.01) and max(seconds) == pytest.approx(8, abs=0.01)
    assert words[0] < 10 and words[-1] > 500
    assert len(set(build_default_contexts())) == len(questions) == 24
    assert abs(np.corrcoef(seconds, [len(question.context) for question in questions])[0, 1]) < 0.3


def write_manifest(folder, **entry):
    soundfile.write(folder / "one.wav", np.zeros(8000, np.float32), 8000)
    (folder / "manifest.jsonl").write_text(json.dumps({"audio": "one.wav", "text": "who wrote it", **entry}) + "\n")
    return folder / "manifest.jsonl"


def test_questions_come_from_a_manifest_and_need_contexts(tmp_path):
    (question,) = read_questions(write_manifest(tmp_path, context="Ada wrote it."))
    assert (question.seconds, question.sample_rate, question.context) == (1, 8000, "Ada wrote it.")
    with pytest.raises(InvalidArgument, match="one.wav has no 'context'"):
        read_questions(write_manifest(tmp_path))
