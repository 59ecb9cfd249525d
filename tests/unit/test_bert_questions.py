import numpy as np
import pytest

from convai.backends.steps.transcripts import spoken_form
from convai.description.pipeline import LABELS
from training.bert.questions import misrecognise

LONG = "which university did the famous physicist professor einstein leave for princeton"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("What did the 3rd army do in 1944?", "what did the third army do in nineteen forty four"),
        ("Who wrote 'Beyoncé's Life'?", "who wrote beyonce's life"),
        ("Is 10% of $5 a lot?", "is ten percent of five dollars a lot"),
    ],
)
def test_spoken_form_is_what_a_perfect_recogniser_writes(written, spoken):
    assert spoken_form(written) == spoken


def test_misrecognised_questions_stay_in_the_recognisers_alphabet():
    for seed in range(50):
        question = misrecognise(LONG, 0.9, np.random.default_rng(seed))
        assert set(question) <= set(LABELS) and "  " not in question and question == question.strip()


def test_the_word_error_rate_sets_how_many_words_change():
    def share_kept(rate):
        questions = [misrecognise(LONG, rate, np.random.default_rng(seed)).split() for seed in range(100)]
        return np.mean([word in words for words in questions for word in LONG.split()])

    assert misrecognise(LONG, 0.0, np.random.default_rng(0)) == LONG
    assert share_kept(0.1) > 0.88 > share_kept(0.4) > 0.5
