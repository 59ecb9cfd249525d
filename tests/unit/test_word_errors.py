from benchmarks.quality.word_errors import commonest, word_errors


def test_each_recording_has_its_own_errors():
    first, second, third = word_errors(["who is anna", "it is bert", "yes"], ["who was anna then", "it is bert", ""])
    assert (first.words, first.errors, second.errors, third.errors) == (3, 2, 0, 1)
    assert first.confusions == {("is", "was"): 1, ("", "then"): 1}
    assert third.confusions == {("yes", ""): 1}


def test_neighbouring_words_are_confused_one_by_one():
    (errors,) = word_errors(["a b c d"], ["a x y d"])
    assert errors.confusions == {("b", "x"): 1, ("c", "y"): 1}


def test_the_commonest_confusions_come_first_and_equal_ones_by_the_alphabet():
    errors = word_errors(["a b", "b a", "c"], ["x y", "y a", ""])
    assert commonest(errors, 2) == [(("b", "y"), 2), (("a", "x"), 1)]
