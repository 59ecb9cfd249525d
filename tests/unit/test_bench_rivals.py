import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.speed.baselines import opened
from benchmarks.speed.baselines.http_path import HttpPath
from benchmarks.speed.baselines.program import RIVALS
from benchmarks.speed.baselines.server_process import RivalServer, RivalSetup
from benchmarks.speed.baselines.wire import answered, pack_question, unpack_answer
from benchmarks.speed.in_process import InProcess
from benchmarks.speed.paths import Reply
from benchmarks.speed.question_set import Question
from benchmarks.speed.server_memory import processor_seconds
from convai.__main__ import main
from convai.client.answer import Answer

QUESTION = Question(np.linspace(-1, 1, 1600, dtype=np.float32), 16_000, "Ada wrote it — once.")
ANSWER = Answer("who", "Ada — once", 0.5, (0, 3), np.linspace(0, 1, 100, dtype=np.float32))


class Echo(InProcess):
    """Answers what it was asked."""

    def __init__(self):
        super().__init__({})

    def walk(self, request):
        audio, rate, context = (request.inputs[name][0] for name in ("question_audio", "sample_rate", "context"))
        return Answer(f"{rate[0]} Hz", context[0].decode(), 0.5, (0, 3), audio), {}


def test_question_and_answer_arrive_over_http_as_they_were_sent():
    answer = unpack_answer(answered(Echo(), pack_question(QUESTION)))
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
        ({"question": "whom"}, False),
        ({"answer": "Ada"}, False),
        ({"answer_span": (4, 7)}, False),
    ],
)
def test_an_answer_is_wrong_by_a_letter_or_by_more_than_a_thousandth_of_its_sound(change, is_same):
    assert Reply(Answer(**vars(ANSWER) | change), 1.0, {}).is_as(Reply(ANSWER, 2.0, {})) == is_same


def test_each_question_goes_to_the_server_with_the_fewest_in_flight():
    path = HttpPath([SimpleNamespace(port=1), SimpleNamespace(port=2)])
    with path.least_busy() as first, path.least_busy() as second:
        assert {first, second} == {1, 2}
        with path.least_busy():
            assert sorted(path.in_flight.values()) == [1, 2]
    assert set(path.in_flight.values()) == {0}


def test_the_command_line_knows_every_rival():
    assert tuple(opened.PATHS) == RIVALS


@pytest.mark.parametrize(("rival", "package"), [("fastapi", "uvicorn"), ("ray", "ray")])
def test_a_rival_whose_package_is_missing_tells_the_extra(rival, package, monkeypatch, capsys):
    monkeypatch.setattr(opened, "find_spec", lambda name: None if name == package else name)
    monkeypatch.setattr(
        "benchmarks.speed.bench.measure", lambda *_: opened.PATHS[rival](RivalSetup("", "")).__enter__()
    )
    assert main(["bench", "--rivals", rival]) == 1
    assert capsys.readouterr().err == f"convai bench: {package} is not installed: pip install 'convai[rivals]'\n"


def test_a_rival_that_does_not_start_shows_what_it_wrote(tmp_path):
    server = RivalServer("fastapi", RivalSetup(tmp_path, "cpu"))
    with pytest.raises(OSError, match=str(tmp_path)):
        server.wait_until_ready()
    server.close()
    assert server.processes() == [server.process.pid]  # and none below it


def test_processor_time_counts_children_that_have_ended():
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    outlive = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", outlive], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        spent = processor_seconds([process.pid])
        process.communicate("\n")
    assert 0.3 <= spent < 2
    assert processor_seconds([]) == 0


def test_a_process_that_idles_spends_nothing():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as process:
        time.sleep(0.5)
        before = processor_seconds([process.pid])
        time.sleep(0.3)
        assert processor_seconds([process.pid]) - before < 0.1
        process.communicate("\n")
