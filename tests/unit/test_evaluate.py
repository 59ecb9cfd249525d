import json

import numpy as np
import pytest
import soundfile

from benchmarks.quality import served as quality
from benchmarks.quality.question_answering import AskedQuestion
from benchmarks.quality.spoken_questions import make_spoken_questions
from benchmarks.tables import Measurement, as_json, measurements_table
from convai.client.answer import Answer
from training.common.recordings import Recording, read_manifest


class Listener:
    """Stands in for a client: hears the name of the tone's pitch, and answers with the name if the context has it."""

    NAMES = {200: "who is anna", 400: "who is bert"}

    def transcribe(self, audio, *, sample_rate):
        pitch = np.abs(np.fft.rfft(audio)).argmax() * sample_rate / len(audio)
        return self.NAMES[min(self.NAMES, key=lambda known: abs(known - pitch))]

    def answer_text(self, question, context):
        name = question.strip("?").split()[-1].capitalize()
        return Answer(question=question, answer=name if name in context else "", answer_score=0.5)

    def ask(self, audio, *, sample_rate, context, outputs):
        assert "answer_audio" not in outputs
        return self.answer_text(self.transcribe(audio, sample_rate=sample_rate), context)


def tone(folder, pitch: int):
    file = folder / f"{pitch}.wav"
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * pitch * np.arange(4000) / 8000), 8000)
    return file


def figures(measurements):
    return {one.name: dict(one.figures) for one in measurements}


def test_text_questions_are_marked_and_mismatched_ones_refused():
    questions = [
        AskedQuestion("Who is Anna?", "It is Anna", ("Anna",)),
        AskedQuestion("Who is Bert?", "It is Bert", ("Bert the Great",)),
    ]
    measured = figures(quality.reading(Listener(), questions))
    assert measured["written questions"] == {"EM": 50, "F1": pytest.approx(100 * (1 + 2 / 3) / 2), "refused": 0}
    assert measured["context without the answer"] == {"refused": 100}


def test_mishearing_costs_what_lies_between_spoken_and_text_questions(tmp_path):
    recordings = [
        Recording(tone(tmp_path, 200), "who is anna", question="Who is Anna?", context="Anna did", accepted=("Anna",)),
        Recording(tone(tmp_path, 200), "who is bert", question="Who is Bert?", context="Bert did", accepted=("Bert",)),
    ]
    measured = figures(quality.conversation(Listener(), recordings))
    assert measured["spoken questions"] == {"WER": pytest.approx(100 / 6), "EM": 50, "F1": 50, "refused": 50}
    assert measured["the same, heard perfectly"]["F1"] == 100


def test_a_recording_without_a_context_cannot_be_asked(tmp_path):
    with pytest.raises(ValueError, match="clip.wav and 0 more lack 'context' or 'answers'"):
        quality.conversation(Listener(), [Recording(tmp_path / "clip.wav", "who")])


def test_spoken_questions_are_made_into_a_manifest_that_can_be_asked(tmp_path, monkeypatch):
    said = []

    def speak(voice, text):
        said.append((voice, text))
        return np.sin(np.arange(800)).astype(np.float32), 8000

    monkeypatch.setattr("benchmarks.quality.spoken_questions.speak", speak)
    entry = {"question": "Who won in 1999?", "answers": [{"text": "Anna", "answer_start": 0}]}
    squad = {"data": [{"paragraphs": [{"context": "Anna won", "qas": [entry]}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(squad))
    (recording,) = read_manifest(make_spoken_questions(tmp_path / "squad.json", 5, ["a:b"], tmp_path / "out"))
    assert said == [("a:b", "who won in nineteen ninety nine")]
    assert (recording.question, recording.context, recording.accepted) == ("Who won in 1999?", "Anna won", ("Anna",))
    assert soundfile.info(recording.audio).samplerate == 8000


def test_a_table_has_a_line_per_measurement_and_leaves_missing_figures_blank():
    measurements = [Measurement("spoken", 2, {"WER": 12.34, "F1": 50.0}), Measurement("text", 10, {"F1": 75.0})]
    header, spoken, text = measurements_table(measurements).splitlines()
    assert header.split() == ["n", "WER", "F1"]
    assert spoken.split() == ["spoken", "2", "12.3", "50.0"]
    assert text.split() == ["text", "10", "75.0"] and len(text) == len(spoken)
    assert json.loads(as_json(measurements))[0] == {"name": "spoken", "n": 2, "WER": 12.34, "F1": 50.0}


def test_measuring_nothing_is_refused():
    with pytest.raises(ValueError, match="got 0 items"):
        Measurement("nobody", 0, {})


def test_the_command_says_what_is_wrong_without_a_traceback(tmp_path, capsys):
    from convai.__main__ import main

    (tmp_path / "other.json").write_text("{}")
    assert main(["evaluate", "text", "--squad", str(tmp_path / "other.json")]) == 1
    assert "other.json is no SQuAD file" in capsys.readouterr().err
    assert main(["evaluate", "speech", "--manifest", str(tmp_path / "none.jsonl")]) == 1
