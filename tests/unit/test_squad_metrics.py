import pytest

from benchmarks.quality.squad_metrics import exact_match, f1, normalise_answer, score


def test_case_articles_punctuation_and_spaces_do_not_count():
    assert normalise_answer("The  U.S. Army, an army") == "us army army"
    assert exact_match("the Denver Broncos.", ["Denver broncos"]) == 1


def test_the_best_of_the_accepted_answers_counts():
    assert exact_match("1944", ["in 1944", "1944"]) == 1
    assert f1("in 1944", ["1944", "June 1944"]) == pytest.approx(2 / 3)


def test_f1_weighs_repeated_words_once_per_occurrence():
    assert f1("blue blue sky", ["blue sky"]) == pytest.approx(0.8)


def test_an_answer_without_words_equals_only_another_one():
    assert f1("", ["Denver"]) == 0
    assert f1("", [""]) == 1
    assert exact_match("the", ["a"]) == 1


def test_scores_are_averages_in_percent():
    assert score(["Denver", ""], [["Denver"], ["Santa Clara"]]) == (50, 50)


def test_scoring_nothing_is_refused():
    with pytest.raises(ValueError, match="got 0 answers to 0 questions"):
        score([], [])
