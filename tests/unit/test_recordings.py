"""Manifests are read line by line, and what is wrong with one is said with its line and field."""

import json

import pytest

from training.common.recordings import Recording, fingerprint, read_manifest


@pytest.fixture
def manifest(tmp_path):
    def write(*lines):
        path = tmp_path / "manifest.jsonl"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        return path

    return write


def test_paths_are_relative_to_the_manifest_and_other_fields_are_left_alone(manifest):
    path = manifest({"audio": "a/b.wav", "text": "go", "speaker": "one", "seconds": 1.0})
    assert read_manifest(path) == [Recording(path.parent / "a/b.wav", "go", "one", question="go")]


def test_a_question_to_the_pipeline_has_its_context_and_accepted_answers(manifest):
    line = {"audio": "q.wav", "text": "who won", "question": "Who won?", "context": "Anna won", "answers": ["Anna"]}
    (recording,) = read_manifest(manifest(line))
    assert (recording.question, recording.context, recording.accepted) == ("Who won?", "Anna won", ("Anna",))


def test_what_a_voice_learns_from_has_symbols_and_when_they_end(manifest):
    path = manifest({"audio": "a.flac", "spoken": "hi", "ends": [0.1, 1]})
    (recording,) = read_manifest(path, ("audio", "spoken", "ends"))
    assert (recording.spoken, recording.ends) == ("hi", (0.1, 1))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is no JSON: "),
        ("7", ": must be a JSON object, got 7"),
        ('{"audio": "b.wav"}', ": must hold 'audio', 'text', lacks 'text'"),
        ('{"audio": 3, "text": "go"}', ": 'audio' must be a text, got 3"),
        ('{"audio": "b.wav", "text": "go", "answers": "Anna"}', ": 'answers' must be a list of texts, got 'Anna'"),
        ('{"audio": "b.wav", "text": "go", "ends": ["0.1"]}', r": 'ends' must be a list of seconds, got \['0\.1'\]"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_what_is_allowed(manifest, line, words):
    with pytest.raises(ValueError, match=f"manifest.jsonl, line 2 ?{words}"):
        read_manifest(manifest({"audio": "a.wav", "text": "hello"}, line))


def test_a_manifest_without_a_line_is_refused(manifest):
    with pytest.raises(ValueError, match="manifest.jsonl is empty; it needs one line per recording"):
        read_manifest(manifest())


def test_what_is_cached_is_made_anew_for_other_lines_and_options_alone(manifest):
    path = manifest({"audio": "a.wav", "text": "go"})
    before = fingerprint(path, 1.0)
    assert fingerprint(path, 1.0) == before != fingerprint(path, 1.1)
    assert fingerprint(manifest('{"audio":"a.wav",  "text":"go"}'), 1.0) == before
    assert fingerprint(manifest({"audio": "b.wav", "text": "go"}), 1.0) != before
