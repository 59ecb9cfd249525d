"""The words that beam search can find: a trie of their spellings, to which the words of a context are added."""

import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager

Entry = tuple[Sequence[int], int, float]
"""Of a word: the labels of its spelling, its index in the language model, and its log10 probability."""


class Lexicon:
    """flashlight-text's trie, in which each node holds the best log-probability beneath it.

    Building a trie of 40,000 words takes 0.1 s; adding and removing those of a paragraph takes some milliseconds. The
    words of the last context therefore stay until a question with other words comes.
    """

    def __init__(self, num_labels: int, entries: Iterable[Entry]):
        from flashlight.lib.text.decoder import SmearingMode, Trie

        self.trie = Trie(num_labels, 0)
        for entry in entries:
            self.trie.insert(*entry)
        self.trie.smear(SmearingMode.MAX)
        self._lock = threading.Lock()
        self._added: Sequence[Entry] = ()
        self._removing = ExitStack()

    @contextmanager
    def with_words(self, entries: Sequence[Entry]) -> Generator[None]:
        """Hold these words, and none that were added before, within the `with` block. Other threads wait."""
        with self._lock:
            if entries != self._added:
                self._added = ()
                self._removing.close()
                with ExitStack() as removing:
                    for entry in entries:
                        removing.enter_context(self._with_word(*entry))
                    self._removing, self._added = removing.pop_all(), entries
            yield

    @contextmanager
    def _with_word(self, spelling: Sequence[int], index: int, log_prob: float) -> Generator[None]:
        # The root keeps its score, which the search does not read.
        prefixes = [spelling[:length] for length in range(1, len(spelling) + 1)]
        known = [node for node in map(self.trie.search, prefixes) if node is not None]
        scores = [node.max_score for node in known]
        last = known[-1] if known else self.trie.search([])
        labels, label_scores, children = last.labels, last.scores, last.children
        self.trie.insert(spelling, index, log_prob)
        for node, score in zip(known, scores, strict=True):
            node.max_score = max(score, log_prob)
        for prefix in prefixes[len(known) :]:
            self.trie.search(prefix).max_score = log_prob
        try:
            yield
        finally:
            last.labels, last.scores, last.children = labels, label_scores, children
            for node, score in zip(known, scores, strict=True):
                node.max_score = score
