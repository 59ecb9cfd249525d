"""The examples hold what their manifest says, and the default weights answer them when they are heard perfectly."""

import pytest
from support.places import EXAMPLES

from convai.client.audio_files import read_mono
from training.common.recordings import read_manifest

RECORDINGS = read_manifest(EXAMPLES / "examples.jsonl")
MAX_BYTES = 300_000
by_name = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.audio.name)


def text_of(recording):
    name = "context.txt" if recording.audio.name == "question.wav" else f"{recording.audio.stem}.txt"
    return (EXAMPLES / name).read_text(encoding="utf-8")


def test_every_recording_is_listed():
    recorded = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".wav", ".flac")}
    assert {recording.audio.name for recording in RECORDINGS} == recorded


def test_they_are_small():
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < MAX_BYTES


@by_name
def test_the_manifest_repeats_the_text(recording):
    assert recording.context == text_of(recording)


@by_name
def test_an_answer_stands_in_the_text(recording):
    assert all(answer in recording.context for answer in recording.accepted)


@by_name
def test_the_recording_is_a_short_question(recording):
    audio, sample_rate = read_mono(recording.audio)
    assert 1 < len(audio) / sample_rate < 8
    assert abs(audio).max() > 0.1


@by_name
def test_it_is_answered_when_heard_perfectly(client, recording):
    assert client.answer_text(recording.text, recording.context).answer in recording.accepted
