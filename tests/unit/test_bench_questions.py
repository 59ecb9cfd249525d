import json

import numpy as np
import pytest
import soundfile

from benchmarks.speed.question_set import default_contexts, default_questions, manifest_questions


def test_the_default_questions_last_from_one_to_eight_seconds():
    questions = default_questions()
    seconds = [question.seconds for question in questions]
    assert len(questions) >= 20
    assert min(seconds) == pytest.approx(1, abs=0.01) and max(seconds) == pytest.approx(8, abs=0.01)
    assert all(np.abs(question.audio).max() > 0.01 for question in questions)


def test_the_default_contexts_range_from_one_sentence_to_several_paragraphs():
    words = sorted(len(context.split()) for context in default_contexts())
    assert words[0] < 10 and words[-1] > 500
    assert len(set(default_contexts())) == len(words)


def test_long_questions_do_not_go_with_long_contexts():
    questions = default_questions()
    sizes = [(question.seconds, len(question.context)) for question in questions]
    assert abs(np.corrcoef(np.transpose(sizes))[0, 1]) < 0.3


def write_manifest(folder, **entry):
    soundfile.write(folder / "one.wav", np.zeros(8000, np.float32), 8000)
    (folder / "manifest.jsonl").write_text(json.dumps({"audio": "one.wav", "text": "who wrote it", **entry}) + "\n")
    return folder / "manifest.jsonl"


def test_questions_can_come_from_a_manifest(tmp_path):
    (question,) = manifest_questions(write_manifest(tmp_path, context="Ada wrote it."), limit=None)
    assert (question.seconds, question.sample_rate, question.context) == (1, 8000, "Ada wrote it.")


def test_a_recording_without_a_context_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="one.wav has no 'context'"):
        manifest_questions(write_manifest(tmp_path), limit=None)
