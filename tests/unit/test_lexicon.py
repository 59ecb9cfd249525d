"""The lexicon of beam search: words come for a question and go without a trace when others come."""

import threading

import pytest

from convai.backends.steps.lexicon import Lexicon

NUM_LABELS = 29
WORDS = [([1, 2, 0], 0, -1.0), ([1, 2, 3, 0], 1, -2.5), ([4, 0], 2, -2.0)]
VISITORS = {
    "a new ending": ([1, 2, 5, 0], 7, -0.5),
    "a new first letter": ([6, 0], 7, -3.0),
    "longer than a known word": ([1, 2, 3, 9, 0], 7, -1.5),
    "the beginning of a known word": ([1, 2], 7, -0.25),
    "less likely than all": ([1, 3, 0], 7, -9.0),
    "known already": ([1, 2, 3, 0], 7, -1.25),
}


def nodes(lexicon, beginning=()):
    """Everything that the trie knows, by the beginning of a spelling; the root has no score."""
    node = lexicon.trie.search(list(beginning))
    known = {beginning: (node.labels, node.scores, node.max_score if beginning else None)}
    for label in node.children:
        known |= nodes(lexicon, (*beginning, label))
    return known


def without_visitors(lexicon):
    with lexicon.with_words([]):
        return nodes(lexicon)


@pytest.mark.parametrize("visitor", VISITORS.values(), ids=VISITORS)
def test_a_word_leaves_no_trace(visitor):
    lexicon = Lexicon(NUM_LABELS, WORDS)
    before = nodes(lexicon)
    with lexicon.with_words([visitor]):
        assert nodes(lexicon) != before
    assert without_visitors(lexicon) == before


def test_words_that_are_expected_again_need_not_be_added_again(monkeypatch):
    lexicon, words = Lexicon(NUM_LABELS, WORDS), list(VISITORS.values())
    with lexicon.with_words(words):
        known = nodes(lexicon)
    monkeypatch.setattr(lexicon, "_with_word", None)
    with lexicon.with_words(list(words)):
        assert nodes(lexicon) == known


def test_a_word_that_cannot_be_added_leaves_no_trace_of_those_before_it():
    lexicon = Lexicon(NUM_LABELS, WORDS)
    before = nodes(lexicon)
    with pytest.raises(TypeError), lexicon.with_words([VISITORS["a new ending"], ([1, "x"], 7, -1.0)]):
        pass
    assert nodes(lexicon) == before


@pytest.mark.parametrize("visitor", [one for name, one in VISITORS.items() if name != "known already"])
def test_a_word_that_comes_later_is_known_like_one_from_the_start(visitor):
    lexicon = Lexicon(NUM_LABELS, WORDS)
    with lexicon.with_words([visitor]):
        assert nodes(lexicon) == nodes(Lexicon(NUM_LABELS, [*WORDS, visitor]))


def test_a_word_that_was_known_goes_by_both_names():
    lexicon = Lexicon(NUM_LABELS, WORDS)
    with lexicon.with_words([VISITORS["known already"]]):
        known = nodes(lexicon)
    assert known[1, 2, 3, 0] == ([1, 7], [-2.5, -1.25], -1.25)
    assert known[1, 2, 3][2] == -1.25
    assert known[1, 2][2] == -1.0


def test_many_words_leave_no_trace_even_after_a_failure():
    lexicon = Lexicon(NUM_LABELS, WORDS)
    before = nodes(lexicon)
    with pytest.raises(RuntimeError), lexicon.with_words([*VISITORS.values(), ([1, 2, 5, 6, 0], 8, -0.1)]):
        raise RuntimeError
    assert without_visitors(lexicon) == before


def test_threads_take_turns():
    lexicon, entered = Lexicon(NUM_LABELS, WORDS), threading.Event()

    def visit():
        with lexicon.with_words([VISITORS["a new first letter"]]):
            entered.set()

    thread = threading.Thread(target=visit)
    with lexicon.with_words([VISITORS["a new ending"]]):
        thread.start()
        assert not entered.wait(0.1)
        assert lexicon.trie.search([6]) is None
    thread.join(10)
    assert entered.is_set()
