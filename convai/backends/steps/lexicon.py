"""The words that beam search can hear: a trie of their spellings, to which words are added for a question's time."""

import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager

Entry = tuple[Sequence[int], int, float]
"""Of a word: the labels of its spelling, its place in the language model, and its log10 probability."""


class Lexicon:
    """flashlight-text's trie, in which each node knows the best log-probability beneath it.

    Making a trie of 40,000 words takes a tenth of a second; adding those of a paragraph and taking them out again
    takes some milliseconds, so those of the last question stay until one comes that expects others.
    """

    def __init__(self, num_labels: int, entries: Iterable[Entry]):
        from flashlight.lib.text.decoder import SmearingMode, Trie

        self.trie = Trie(num_labels, 0)
        for entry in entries:
            self.trie.insert(*entry)
        self.trie.smear(SmearingMode.MAX)
        self._lock = threading.Lock()
        self._visitors: Sequence[Entry] = ()
        self._undoing = ExitStack()

    @contextmanager
    def with_words(self, entries: Sequence[Entry]) -> Generator[None]:
        """Hold these words too, and none that were added before, within the `with` block. Other threads wait."""
        with self._lock:
            if entries != self._visitors:
                self._visitors = ()
                self._undoing.close()
                with ExitStack() as undoing:
                    for entry in entries:
                        undoing.enter_context(self._with_word(*entry))
                    self._undoing, self._visitors = undoing.pop_all(), entries
            yield

    @contextmanager
    def _with_word(self, spelling: Sequence[int], place: int, log_prob: float) -> Generator[None]:
        # The root is left as it is: the search never asks for its score.
        beginnings = [spelling[:length] for length in range(1, len(spelling) + 1)]
        known = [node for node in map(self.trie.search, beginnings) if node is not None]
        scores = [node.max_score for node in known]
        last = known[-1] if known else self.trie.search([])
        labels, label_scores, children = last.labels, last.scores, last.children
        self.trie.insert(spelling, place, log_prob)
        for node, score in zip(known, scores, strict=True):
            node.max_score = max(score, log_prob)
        for beginning in beginnings[len(known) :]:
            self.trie.search(beginning).max_score = log_prob
        try:
            yield
        finally:
            last.labels, last.scores, last.children = labels, label_scores, children
            for node, score in zip(known, scores, strict=True):
                node.max_score = score
