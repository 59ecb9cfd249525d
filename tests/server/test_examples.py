"""The examples agree with their manifest, and the default weights answer their written questions."""

import numpy as np
import pytest
from support.places import EXAMPLES
from support.sounds import silence

from convai.client.audio_files import read_mono
from training.common.recordings import read_manifest

RECORDINGS = read_manifest(EXAMPLES / "examples.jsonl")
MAX_BYTES = 300_000


def test_every_recording_is_listed_and_all_are_small():
    recorded = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".wav", ".flac")}
    assert {recording.audio.name for recording in RECORDINGS} == recorded
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < MAX_BYTES


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.audio.name)
def test_a_recording_is_a_short_question_with_its_text_and_answer(client, recording):
    name = "context.txt" if recording.audio.name == "question.wav" else f"{recording.audio.stem}.txt"
    assert recording.context == (EXAMPLES / name).read_text(encoding="utf-8")
    audio, sample_rate = read_mono(recording.audio)
    assert 1 < len(audio) / sample_rate < 8
    assert abs(audio).max() > 0.1
    assert client.answer_text(recording.text, recording.context).answer in recording.accepted


def add_silence(audio, sample_rate, kind, seconds, where):
    quiet = silence(kind, seconds, sample_rate)
    begin = {"before": len(quiet), "behind": 0, "around": len(quiet) // 2}[where]
    return np.concatenate([quiet[:begin], audio, quiet[begin:]])


@pytest.mark.parametrize("kind", ["zeros", "noise", "hum"])
@pytest.mark.parametrize("seconds", [0.5, 5, 20])
def test_silence_does_not_change_what_is_recognised(client, kind, seconds):
    recognised, expected = [], []
    for recording in RECORDINGS:
        audio, sample_rate = read_mono(recording.audio)
        for where in ("before", "behind", "around"):
            padded = add_silence(audio, sample_rate, kind, seconds, where)
            answer = client.ask(padded, sample_rate=sample_rate, context=recording.context, outputs=["question"])
            recognised.append(answer.question)
            expected.append(recording.text)
    assert recognised == expected
