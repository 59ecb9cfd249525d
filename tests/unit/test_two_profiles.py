"""Two profiles hear, answer and speak the same things, and are told apart by their figures and by what they say."""

import json

import numpy as np
import soundfile

from convai.benchmarks.quality.two_profiles import answering, hearing
from convai.client.answer import Answer


class Side:
    """Hears and answers what it is told to, in the order of the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def walk(self, request):
        self.requests.append(request)
        return self.answers[len(self.requests) - 1], {}


def test_word_error_rates_and_the_share_of_equal_transcripts(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600, np.float32), 16_000)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps({"audio": "a.wav", "text": "one two"}) + "\n" for _ in range(2)))
    exact = Side(Answer(question="one two"), Answer(question="one two"))
    hasty = Side(Answer(question="one two"), Answer(question="one too"))
    first, second = hearing({"exact": exact, "hasty": hasty}, [manifest], count=5)
    assert (first.name, first.count, dict(first.figures)) == ("hearing, exact", 2, {"WER": 0.0, "same": 100.0})
    assert dict(second.figures) == {"WER": 25.0, "same": 50.0}
    assert {request.model for request in (*exact.requests, *hasty.requests)} == {"speech_to_text"}


def test_answers_are_scored_as_squad_scores_them(tmp_path):
    paragraph = {"context": "It is blue.", "qas": [{"question": "what", "answers": [{"text": "blue"}]}]}
    squad = tmp_path / "squad.json"
    squad.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    rows = answering({"right": Side(Answer(answer="blue")), "wrong": Side(Answer(answer="It"))}, squad, count=5)
    assert [row.figures["f1"] for row in rows] == [100.0, 0.0]
    assert [row.figures["same"] for row in rows] == [100.0, 0.0]
