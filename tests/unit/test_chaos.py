import subprocess
import sys

import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from benchmarks.speed import chaos_network
from benchmarks.speed.chaos import possible_faults
from benchmarks.speed.chaos_faults import CUT_OFF, FAULTS
from benchmarks.speed.chaos_load import Asked, Finding, Load, Log, Row, running, table
from benchmarks.speed.chaos_questions import is_same, spoken
from benchmarks.speed.chaos_server import write_subset
from convai.client import Answer, ConvaiClient

LOAD = Load(in_flight=2, requests=20, timeout_seconds=5.0)


def answering(text):
    return FakeTriton(
        {
            "answer": np.array([[text.encode()]], np.object_),
            "answer_score": np.array([[0.9]], np.float32),
            "answer_span": np.array([[0, 4]], np.int32),
        }
    )


def row_of(fake):
    expected = [(lambda client: client.answer_text("a question", "a context"), Answer(answer="rain"))]
    with serving(fake) as address, ConvaiClient(address) as client, running(client, expected, LOAD) as log:
        pass
    return Row("a fault", log, left_behind=0, finding=Finding())


def test_a_load_sends_what_was_asked_for_even_if_the_fault_is_short():
    row = row_of(answering("rain"))

    assert len(row.log.asked) >= 20
    assert (row.lost, row.wrong, row.is_harmless) == (0, 0, True)


def test_a_wrong_answer_is_counted():
    row = row_of(answering("snow"))

    assert row.wrong == len(row.log.asked)
    assert "'snow' instead of 'rain'" in table([row])
    assert not row.is_harmless


def test_a_lost_request_is_counted_and_its_error_is_told():
    fake = answering("rain")
    fake.error = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    row = row_of(fake)

    assert row.lost == len(row.log.asked)
    assert "Exceeds maximum queue size" in table([row])


ASKED = [Asked(0.0, 3.5), Asked(1.0, 0.5)]


def test_what_is_left_behind_is_no_harmless_thing():
    row = Row("one killed", Log(1.0, ASKED), left_behind=4, finding=Finding("a remark"))

    assert not row.is_harmless
    assert row.cells() == ["one killed", "2", "0", "0", "+2.5 s", "4", "missed"]
    assert "one killed: a remark" in table([row])


def test_neither_is_a_delay_beyond_what_is_allowed():
    assert Row("one killed", Log(1.0, ASKED), 0, Finding(), allowed_delay_seconds=3.0).is_harmless
    assert not Row("one killed", Log(1.0, ASKED), 0, Finding(), allowed_delay_seconds=2.0).is_harmless


def test_nor_is_what_a_fault_itself_finds_bad():
    assert not Row("one joins", Log(1.0, ASKED), 0, Finding("it got nothing", is_good=False)).is_harmless


def test_an_answer_is_the_same_if_it_says_and_sounds_the_same():
    def answer(text, *samples):
        return Answer(question="who", answer=text, answer_audio=np.array(samples, np.float32))

    assert is_same(answer("rain", 0.5, 0.1), answer("rain", 0.5005, 0.1))
    assert not is_same(answer("rain", 0.5, 0.1), answer("rain", 0.52, 0.1))
    assert not is_same(answer("rain", 0.5, 0.1), answer("rain", 0.5))
    assert not is_same(answer("rain", 0.5), answer("snow", 0.5))
    assert not is_same(answer("rain", 0.5), Answer(question="who", answer="rain"))


def test_spoken_questions_are_recordings_for_the_whole_pipeline():
    asked = []

    class Client:
        def ask(self, audio, *, sample_rate, context):
            asked.append((len(audio) / sample_rate, context))

    for ask in spoken().questions:
        ask(Client())
    assert len(set(asked)) == 4


UNPLUGGED = """
import subprocess, sys, time, urllib.request
from benchmarks.speed.chaos_network import FAR, cable

def is_reached(seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return urllib.request.urlopen(f"http://{FAR}:8001", timeout=2).status == 200
        except OSError:
            pass
    return False

with cable() as plugged:
    command = [*plugged.at_far_end, sys.executable, "-um", "http.server", "--bind", FAR, "8001"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        server.stdout.readline()
        reached = [is_reached(20)]
        plugged.unplug()
        reached.append(is_reached(2))
        plugged.plug_in()
        reached.append(is_reached(20))
        server.kill()
print(reached)
"""


def test_an_unplugged_cable_loses_what_is_sent(tmp_path):
    if not chaos_network.is_possible():
        pytest.skip("this machine has no network namespaces, or not `ip` (Debian's package iproute2)")
    command = [*chaos_network.OWN_NETWORK, sys.executable, "-c", UNPLUGGED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[True, False, True]", done.stderr


def test_a_machine_without_network_namespaces_leaves_one_fault_out(monkeypatch, capsys):
    monkeypatch.setattr(chaos_network, "is_possible", lambda: False)
    assert list(possible_faults(None)) == [fault for fault in FAULTS if fault != CUT_OFF]
    assert "left out" in capsys.readouterr().err
    with pytest.raises(ValueError, match="needs a network namespace"):
        possible_faults([CUT_OFF])


def test_nothing_in_flight_is_refused():
    with pytest.raises(ValueError, match="in_flight is 0; it must be at least 1"):
        Load(in_flight=0, requests=1, timeout_seconds=1.0)


def test_a_subset_of_a_repository_holds_one_ensemble_and_its_steps(tmp_path):
    (tmp_path / "subset").mkdir()
    write_subset(tmp_path / "whole", ["question_answering"], tmp_path / "subset")

    names = {path.name for path in (tmp_path / "subset").iterdir()}
    assert names == {"question_answering", "qa_tokenizer", "bert", "answer_extractor"}
