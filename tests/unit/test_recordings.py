"""Manifests are read line by line, and an error names line and field."""

import json

import numpy as np
import pytest

from convai.errors import InvalidArgument
from training.common.recordings import Recording, read_cached, read_manifest


@pytest.fixture
def manifest(tmp_path):
    def write(*lines):
        path = tmp_path / "manifest.jsonl"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        return path

    return write


def test_paths_are_relative_to_the_manifest_and_other_fields_are_ignored(manifest):
    path = manifest({"audio": "a/b.wav", "text": "go", "speaker": "one", "seconds": 1.0})
    assert read_manifest(path) == [Recording(path.parent / "a/b.wav", "go", "one", question="go")]


def test_questions_have_context_and_accepted_answers_and_voices_have_timed_symbols(manifest):
    line = {"audio": "q.wav", "text": "who won", "question": "Who won?", "context": "Anna won", "answers": ["Anna"]}
    timed = {"spoken": "hi", "ends": [0.1, 1]}
    (recording,) = read_manifest(manifest(line | timed), ("audio", "spoken", "ends"))
    assert (recording.question, recording.context, recording.accepted) == ("Who won?", "Anna won", ("Anna",))
    assert (recording.spoken, recording.ends) == ("hi", (0.1, 1))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is not JSON: "),
        ("7", ": must be a JSON object, got 7"),
        ('{"audio": "b.wav"}', ": must hold 'audio', 'text', lacks 'text'"),
        ('{"audio": 3, "text": "go"}', ": 'audio' must be a text, got 3"),
        ('{"audio": "b.wav", "text": "go", "answers": "Anna"}', ": 'answers' must be a list of texts, got 'Anna'"),
        ('{"audio": "b.wav", "text": "go", "ends": ["0.1"]}', r": 'ends' must be a list of seconds, got \['0\.1'\]"),
    ],
)
def test_a_wrong_line_is_refused_with_what_was_expected(manifest, line, words):
    with pytest.raises(InvalidArgument, match=f"manifest.jsonl, line 2 ?{words}"):
        read_manifest(manifest({"audio": "a.wav", "text": "hello"}, line))


def test_a_manifest_without_a_line_is_refused(manifest):
    with pytest.raises(InvalidArgument, match="manifest.jsonl is empty; it needs one line per recording"):
        read_manifest(manifest())


def test_clips_are_read_once(manifest, tmp_path):
    path = manifest({"audio": "ab", "text": "go"}, {"audio": "abc", "text": "on"})
    calls = []

    def read_letters(file):
        calls.append(file)
        return np.arange(len(file.name))

    for _ in range(2):
        clips, ends = read_cached(path, tmp_path / "cache", read_manifest(path), read_letters)
        assert clips.tolist() == [0, 1, 0, 1, 2] and ends.tolist() == [2, 5]
    assert len(calls) == 2
