"""The lexicon of beam search: words of a context are added and removed without a trace."""

import pytest

from convai.backends.steps.lexicon import Lexicon

NUM_LABELS = 29
WORDS = [([1, 2, 0], 0, -1.0), ([1, 2, 3, 0], 1, -2.5), ([4, 0], 2, -2.0)]
ADDED = {
    "a new ending": ([1, 2, 5, 0], 7, -0.5),
    "a new first letter": ([6, 0], 7, -3.0),
    "longer than a known word": ([1, 2, 3, 9, 0], 7, -1.5),
    "the beginning of a known word": ([1, 2], 7, -0.25),
    "less likely than all": ([1, 3, 0], 7, -9.0),
    "known already": ([1, 2, 3, 0], 7, -1.25),
}


def nodes(lexicon, prefix=()):
    """The trie's nodes by the prefix of a spelling; the root has no score."""
    node = lexicon.trie.search(list(prefix))
    known = {prefix: (node.labels, node.scores, node.max_score if prefix else None)}
    for label in node.children:
        known |= nodes(lexicon, (*prefix, label))
    return known


def nodes_without_added(lexicon):
    with lexicon.with_words([]):
        return nodes(lexicon)


@pytest.mark.parametrize(("kind", "word"), ADDED.items(), ids=ADDED)
def test_an_added_word_is_found_like_one_from_the_start_and_leaves_no_trace(kind, word):
    lexicon = Lexicon(NUM_LABELS, WORDS)
    before = nodes(lexicon)
    with lexicon.with_words([word]):
        assert nodes(lexicon) != before
        if kind != "known already":
            assert nodes(lexicon) == nodes(Lexicon(NUM_LABELS, [*WORDS, word]))
    assert nodes_without_added(lexicon) == before


def test_an_added_word_of_the_vocabulary_has_both_entries():
    lexicon = Lexicon(NUM_LABELS, WORDS)
    with lexicon.with_words([ADDED["known already"]]):
        known = nodes(lexicon)
    assert known[1, 2, 3, 0] == ([1, 7], [-2.5, -1.25], -1.25)
    assert known[1, 2, 3][2] == -1.25
    assert known[1, 2][2] == -1.0
