import json

import numpy as np
import pytest
import soundfile

from benchmarks.quality import evaluate
from benchmarks.quality.recognition import estimate_rate, measure_corpora, transcribe_corpora
from convai.client.answer import Answer
from convai.errors import InvalidArgument
from training.common.recordings import Recording

SENTENCES = {200: "who is anna", 400: "who is bert"}


class Recogniser:
    """Stands in for a client: its transcript is the sentence that belongs to a tone's pitch."""

    def __init__(self, sentences=SENTENCES):
        self.sentences, self.sent = sentences, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def transcribe(self, audio, *, sample_rate):
        self.sent.append(audio)
        pitch = np.abs(np.fft.rfft(audio)).argmax() * sample_rate / len(audio)
        return self.sentences[min(self.sentences, key=lambda known: abs(known - pitch))]

    def ask(self, audio, *, sample_rate, context, outputs):
        assert outputs == ("question",)
        return Answer(question=f"who is {context}")


def tone(folder, pitch):
    file = folder / f"{pitch}.wav"
    time = np.arange(4000) / 8000
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * pitch * time) * (time % 0.4 < 0.3), 8000)
    return file


def read_figures(transcribed):
    return {one.name: dict(one.figures) for one in measure_corpora(transcribed)}


def test_rates_are_of_all_recordings_and_of_each_corpus(tmp_path):
    anna = Recording(tone(tmp_path, 200), "Who is Anna?")
    bertram = Recording(tone(tmp_path, 400), "who was bertram")
    figures = read_figures(transcribe_corpora([Recogniser()], {"left": [anna], "right": [bertram]}))
    assert figures["all recordings"]["WER"] == pytest.approx(100 * 2 / 6)
    assert figures["left"] == {"WER": 0}  # one recording has no interval
    assert figures["right"]["WER"] == pytest.approx(100 * 2 / 3)


def test_recordings_are_transcribed_with_contextual_biasing_and_without(tmp_path):
    corpora = {"a": [Recording(tone(tmp_path, 200), "who is anneke", context="anneke")]}
    with_context = transcribe_corpora([Recogniser()], corpora)
    without = transcribe_corpora([Recogniser()], corpora, use_contexts=False)
    assert read_figures(with_context)["all recordings"]["WER"] == 0
    assert read_figures(without)["all recordings"]["WER"] == pytest.approx(100 / 3)


def test_a_recording_without_a_word_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="got none in 1 of 1 recordings, such as .*clip.wav"):
        transcribe_corpora([Recogniser()], {"a": [Recording(tmp_path / "clip.wav", "?!")]})


def test_the_interval_holds_the_true_rate_about_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        figures = estimate_rate("WER", rng.binomial(10, 0.2, size=100), np.full(100, 10), [""] * 100)
        hits += figures["low"] <= 20 <= figures["high"]
    assert hits >= 50


def test_the_program_draws_from_several_manifests_and_compares_two_servers(tmp_path, monkeypatch, capsys):
    servers = []

    def connect(server, timeout_seconds):
        servers.append(server)
        return Recogniser()

    monkeypatch.setattr(evaluate, "ConvaiClient", connect)
    for corpus, (pitch, text) in zip(("left", "right"), SENTENCES.items(), strict=True):
        (tmp_path / corpus).mkdir()
        tone(tmp_path / corpus, pitch)
        line = json.dumps({"audio": f"{pitch}.wav", "text": text})
        (tmp_path / corpus / "manifest.jsonl").write_text(f"{line}\n" * 5)
    manifests = [str(tmp_path / corpus / "manifest.jsonl") for corpus in ("left", "right")]
    options = ["--limit", "3", "--compare", "b:2", "--server", "a:1", "--json", str(tmp_path / "figures.json")]
    assert evaluate.main(["speech", "--manifest", *manifests, *options]) == 0
    assert servers == ["a:1", "b:2"]
    assert "errors of b:2" in capsys.readouterr().out
    records = json.loads((tmp_path / "figures.json").read_text())
    assert {one["name"]: (one["n"], one["WER"]) for one in records} == {
        "all recordings": (6, 0),
        "left": (3, 0),
        "right": (3, 0),
    }
