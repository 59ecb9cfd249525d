import numpy as np
import pytest
import soundfile

from benchmarks.quality.answers import measure_spoken_questions, measure_text_questions
from benchmarks.quality.question_answering import AskedQuestion, compute_f1, score_answers
from convai.client.answer import Answer
from convai.errors import InvalidArgument
from training.common.recordings import Recording


class FakeClient:
    """Transcribes every recording as `who is anna`; answers with the name if the context has it."""

    def answer_text(self, question, context):
        name = question.strip("?").split()[-1].capitalize()
        return Answer(question=question, answer=name if name in context else "", answer_score=0.5)

    def ask(self, audio, *, sample_rate, context, outputs):
        assert "answer_audio" not in outputs
        return self.answer_text("who is anna", context)


def read_figures(measurements):
    return {one.name: dict(one.figures) for one in measurements}


def test_text_questions_are_scored_and_mismatched_ones_refused():
    questions = [
        AskedQuestion("Who is Anna?", "It is Anna", ("Anna",)),
        AskedQuestion("Who is Bert?", "It is Bert", ("Bert the Great",)),
    ]
    figures = read_figures(measure_text_questions(FakeClient(), questions))
    assert figures["written questions"] == {"EM": 50, "F1": pytest.approx(100 * (1 + 2 / 3) / 2), "refused": 0}
    assert figures["context without the answer"] == {"refused": 100}


def test_recognition_errors_cost_the_difference_between_spoken_and_text_questions(tmp_path):
    soundfile.write(tmp_path / "who.wav", np.zeros(800, np.float32), 8000)
    recordings = [
        Recording(
            tmp_path / "who.wav", f"who is {name.lower()}", question="Who?", context=f"{name} did", accepted=(name,)
        )
        for name in ("Anna", "Bert")
    ]
    figures = read_figures(measure_spoken_questions(FakeClient(), recordings))
    assert figures["spoken questions"] == {"WER": pytest.approx(100 / 6), "EM": 50, "F1": 50, "refused": 50}
    assert figures["perfect transcripts"]["F1"] == 100


@pytest.mark.parametrize(
    ("answer", "accepted", "f1"),
    [
        ("in 1944", ["1944", "June 1944"], 2 / 3),  # the best accepted answer counts
        ("blue blue sky", ["blue sky"], 0.8),  # a repeated word counts once per occurrence
        ("", ["Denver"], 0),
        ("", [""], 1),
        ("the", ["a"], 1),  # no word is left of either
    ],
)
def test_f1_is_that_of_squad(answer, accepted, f1):
    assert compute_f1(answer, accepted) == pytest.approx(f1)


def test_scores_are_averages_in_percent_and_need_an_answer():
    assert score_answers(["the Denver.", ""], [["denver", "a town"], ["Santa Clara"]]) == (50, 50)
    with pytest.raises(InvalidArgument, match="expected at least 1 answer"):
        score_answers([], [])
