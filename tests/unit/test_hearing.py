import json

import numpy as np
import pytest
import soundfile

from benchmarks.quality import evaluate
from benchmarks.quality.hearing import Noise, listen, measured_groups, without_texts
from benchmarks.quality.hearing_report import report, report_json
from convai.__main__ import main
from convai.client.answer import Answer
from convai.errors import InvalidArgument
from training.common.recordings import Recording


class Recogniser:
    """Stands in for a client: hears the sentence that belongs to a tone's pitch."""

    SENTENCES = {200: "who is anna", 400: "who is bert"}

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


def tone(folder, pitch, seconds=0.5):
    file = folder / f"{pitch}-{seconds}.wav"
    if not file.exists():
        time = np.arange(round(8000 * seconds)) / 8000
        soundfile.write(file, 0.5 * np.sin(2 * np.pi * pitch * time) * (time % 0.4 < 0.3), 8000)
    return file


def figures(heard):
    return {one.name: dict(one.figures) for one in measured_groups(heard)}


def test_rates_are_told_by_corpus_accent_length_and_speaker(tmp_path):
    anna = Recording(tone(tmp_path, 200), "Who is Anna?", speaker="one", accent="welsh")
    bertram = Recording(tone(tmp_path, 400, seconds=3), "who was bertram", speaker="two")
    measured = figures(listen([Recogniser()], {"left": [anna], "right": [bertram]}))
    assert measured["all recordings"]["WER"] == pytest.approx(100 * 2 / 6)
    for name in ("corpus left", "accent welsh", "length below 2 s", "speaker one"):
        assert measured[name]["WER"] == 0
    for name in ("corpus right", "length 2 to 5 s", "speaker two"):
        assert measured[name]["WER"] == pytest.approx(100 * 2 / 3)


def test_a_trait_that_all_recordings_share_is_no_group(tmp_path):
    same = [Recording(tone(tmp_path, 200), "who is anna", speaker="one", accent="welsh")] * 2
    assert list(figures(listen([Recogniser()], {"only": same}))) == ["all recordings"]


def test_one_recording_has_no_interval_and_several_have_one_around_their_rate(tmp_path):
    right, wrong = Recording(tone(tmp_path, 200), "who is anna"), Recording(tone(tmp_path, 400), "anna and bert")
    assert set(figures(listen([Recogniser()], {"a": [wrong]}))["all recordings"]) == {"WER"}
    all_of_them = figures(listen([Recogniser()], {"a": [right, wrong] * 10}))["all recordings"]
    assert 0 < all_of_them["low"] < all_of_them["WER"] < all_of_them["high"] < 100


def test_two_recognisers_are_compared_on_the_same_recordings(tmp_path):
    recordings = [Recording(tone(tmp_path, pitch), text) for pitch, text in Recogniser.SENTENCES.items()] * 10
    deaf_to_names = Recogniser({200: "who is", 400: "who is"})
    measured = figures(listen([deaf_to_names, Recogniser()], {"a": recordings}))["all recordings"]
    assert (measured["WER"], measured["other WER"]) == (pytest.approx(100 / 3), 0)
    assert (measured["difference"], measured["difference low"]) == (pytest.approx(100 / 3), pytest.approx(100 / 3))


def test_questions_about_a_text_are_heard_with_the_text_in_mind_and_without(tmp_path):
    corpora = {"a": [Recording(tone(tmp_path, 200), "who is anneke", context="anneke")]}
    with_text, without = (listen([Recogniser()], each) for each in (corpora, without_texts(corpora)))
    assert (figures(with_text)["all recordings"]["WER"], figures(without)["all recordings"]["WER"]) == (
        0,
        pytest.approx(100 / 3),
    )


def test_added_noise_is_the_same_in_every_run_and_another_with_another_seed(tmp_path):
    recordings = {"a": [Recording(tone(tmp_path, pitch), "who is anna") for pitch in (200, 400)]}

    def sent(noise):
        recogniser = Recogniser()
        heard = listen([recogniser], recordings, noise)
        assert all(one.snr_decibels < 20 for one in heard)
        return sorted((audio.tobytes() for audio in recogniser.sent), key=hash)

    for kind in ("white", "babble"):
        assert sent(Noise(5, kind)) == sent(Noise(5, kind)) != sent(Noise(5, kind, seed=1))


def test_an_unknown_kind_of_noise_names_those_that_are_known():
    with pytest.raises(InvalidArgument, match="one of white, pink, brown, babble, got 'green'"):
        Noise(10, "green")


def test_babble_needs_somebody_else(tmp_path):
    with pytest.raises(InvalidArgument, match="the other recordings of the manifest; got one alone"):
        listen([Recogniser()], {"a": [Recording(tone(tmp_path, 200), "who is anna")]}, Noise(10, "babble"))


def test_a_recording_without_a_word_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="clip.wav and 0 more have a text without a word"):
        listen([Recogniser()], {"a": [Recording(tmp_path / "clip.wav", "?!")]})


def test_the_report_tells_what_is_commonly_misheard(tmp_path):
    recordings = [Recording(tone(tmp_path, 400), "who was bert then")] * 2 + [Recording(tone(tmp_path, 200), "is anna")]
    heard = listen([Recogniser()], {"a": recordings})
    lines = [line.split() for line in report(heard, ["here:1"]).splitlines()]
    start = lines.index(["misheard", "by", "here:1", "times"])
    assert lines[start + 1 :] == [
        ["then", "->", "(nothing)", "2"],
        ["was", "->", "is", "2"],
        ["(nothing)", "->", "who", "1"],
    ]
    written = json.loads(report_json(heard, ["here:1"]))
    assert written["confusions"]["here:1"][1] == {"said": "was", "heard": "is", "times": 2}
    assert written["groups"][0]["n"] == 3


def test_the_command_takes_several_manifests_and_draws_from_each(tmp_path, monkeypatch, capsys):
    servers = []

    def connect(server, timeout_seconds):
        servers.append(server)
        return Recogniser()

    monkeypatch.setattr("convai.client.client.ConvaiClient", connect)
    for corpus, (pitch, text) in zip(("left", "right"), Recogniser.SENTENCES.items(), strict=True):
        (tmp_path / corpus).mkdir()
        tone(tmp_path / corpus, pitch)
        line = json.dumps({"audio": f"{pitch}-0.5.wav", "text": text})
        (tmp_path / corpus / "manifest.jsonl").write_text(f"{line}\n" * 5)
    manifests = [str(tmp_path / corpus / "manifest.jsonl") for corpus in ("left", "right")]
    arguments = ["--limit", "3", "--compare", "b:2", "--server", "a:1", "--json", str(tmp_path / "figures.json")]
    assert main(["evaluate", "speech", "--manifest", *manifests, *arguments]) == 0
    assert servers == ["a:1", "b:2"]
    assert "misheard by b:2" in capsys.readouterr().out
    groups = json.loads((tmp_path / "figures.json").read_text())["groups"]
    assert {one["name"]: (one["n"], one["WER"]) for one in groups} == {
        "all recordings": (6, 0),
        "corpus left": (3, 0),
        "corpus right": (3, 0),
    }


def test_manifests_in_folders_called_alike_are_told_apart_by_their_paths(tmp_path):
    class Arguments:
        limit, seed = None, 0
        manifest = [tmp_path / name / "clips" / "manifest.jsonl" for name in ("a", "b")]

    for manifest in Arguments.manifest:
        manifest.parent.mkdir(parents=True)
        manifest.write_text('{"audio": "a.wav", "text": "hello"}\n')
    assert list(evaluate.read_corpora(Arguments)) == [str(manifest) for manifest in Arguments.manifest]
