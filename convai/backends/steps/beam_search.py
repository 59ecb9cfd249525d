"""Beam search: finds the texts that fit sound and language best, with flashlight-text and a KenLM language model.

The language model is an ARPA file, gzipped or not. A word outside its vocabulary is spelled: the model predicts its
letters one by one, as tokens `+t +e +s +l +a`.

Contextual biasing: the model's token `<context>` stands for any word of the text that a question is about. While that
question is decoded, each of these words also has the score of `<context>`.
"""

import gzip
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from convai.arrays import Array
from convai.backends.steps.lexicon import Entry, Lexicon
from convai.backends.steps.transcripts import collapse_ctc_path, words_of
from convai.errors import InvalidArgument

LETTER_MARK = "+"
SPACE = " "
SENTENCE_MARKS = ("<s>", "</s>")
UNKNOWN = "<unk>"
CONTEXT_WORD = "<context>"
COMMON_WORDS = 500  # the most frequent words, which are not biased: that a context has them says nothing
CONTEXTS_KEPT = 32  # contexts whose words are cached for the next question about them
LONGEST_CONTEXT_WORD = 40  # letters; native code descends into a word recursively
BEAM_THRESHOLD = 10.0  # hypotheses with a score this far below the best are dropped; 8 loses words of the context
LABELS_PER_FRAME = 8  # labels that extend hypotheses; the others of 29 cost half of the time and gain nothing
CERTAIN_BLANK = np.log(0.99)  # a frame more certain than this, after a blank one, decides nothing and is skipped
IMPOSSIBLE = -1e3  # log-probability; finite, because the search subtracts scores from each other


def spell(word: str) -> list[str]:
    """The tokens of a word outside the vocabulary."""
    return [LETTER_MARK + letter for letter in word]


def letters_of(token: str) -> str:
    """The spelling of a token: one letter of a spelled word, or a word and the space after it."""
    return token.removeprefix(LETTER_MARK) if token.startswith(LETTER_MARK) else token + SPACE


def read_unigrams(arpa_file: Path) -> Iterator[tuple[str, float]]:
    """Yield the tokens of a language model and their log10 probabilities, without sentence marks and unknown words."""
    opener = gzip.open if arpa_file.suffix == ".gz" else open
    with opener(arpa_file, "rt", encoding="utf-8") as stream:
        if not any(line.startswith("\\1-grams:") for line in stream):
            raise InvalidArgument(f"language_model_file: expected an ARPA file, got {arpa_file}")
        for line in stream:
            if not line.strip():
                return
            log_prob, token = line.split()[:2]
            if token not in (*SENTENCE_MARKS, UNKNOWN):
                yield token, float(log_prob)


@contextmanager
def silent_stderr() -> Generator[None]:
    """Discard what native code writes to standard error: KenLM draws a progress bar there."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class BeamSearch:
    """Finds the likeliest texts.

    The score of a text is ln P(sound | text) + language_model_weight * ln P(text) + word_score * its number of words;
    each letter of a spelled word counts as a word.

    A network with little training overrates blank and space, because most frames are one of them. Therefore
    P(label | frame) is divided by a power of P(label) (Miao et al., EESEN, 2015). Only the priors of these two labels
    matter, and each is one penalty.
    """

    def __init__(
        self,
        labels: str,
        language_model_file: str,
        *,
        beam_width: int,
        language_model_weight: float,
        word_score: float,
        blank_penalty: float = 0.0,
        space_penalty: float = 0.0,
    ):
        """Read the language model, which takes half a second. The blank is the label after the last of `labels`.

        Parameters
        ----------
        beam_width : hypotheses kept from frame to frame
        blank_penalty, space_penalty : subtracted from the log-probability of blank and space in every frame
        """
        # Imported here, because greedy decoding must work where the package is missing.
        from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions

        self.labels, self.space, self.blank = labels, labels.index(SPACE), len(labels)
        self.label_ids = {letter: index for index, letter in enumerate(labels)}
        self.penalties = np.zeros(len(labels) + 1, np.float32)
        self.penalties[[self.space, self.blank]] = space_penalty, blank_penalty
        self._context_entries = lru_cache(CONTEXTS_KEPT)(self._make_context_entries)
        unigrams = list(read_unigrams(Path(language_model_file)))
        entries = {token: (index, log_prob) for index, (token, log_prob) in enumerate(unigrams)}
        self.context_entry = entries.pop(CONTEXT_WORD, None)
        self.common_words = select_most_frequent(unigrams, COMMON_WORDS)
        self.lexicon = Lexicon(len(labels) + 1, [(self._spelling(token), *entry) for token, entry in entries.items()])
        options = LexiconDecoderOptions(
            beam_size=beam_width,
            beam_size_token=LABELS_PER_FRAME,
            beam_threshold=BEAM_THRESHOLD,
            lm_weight=language_model_weight * np.log(10),  # KenLM counts in powers of ten
            word_score=word_score,
            unk_score=-np.inf,
            sil_score=0.0,
            log_add=False,
            criterion_type=CriterionType.CTC,
        )
        language_model = _load_language_model(language_model_file, [token for token, _ in unigrams])
        self.decoder = LexiconDecoder(
            options, self.lexicon.trie, language_model, self.space, self.blank, len(unigrams), [], False
        )

    def __call__(self, log_probs: Array, context: str = "", count: int = 1) -> dict[str, float]:
        """Find the best texts and their scores, best first; at least one, which is empty for silence.

        Parameters
        ----------
        log_probs : float32, shape = (frames, len(labels) + 1), without NaN
        context : text whose words are biased
        count : texts to find; fewer are returned if the beam has no more
        """
        last = np.full((1, log_probs.shape[1]), IMPOSSIBLE, np.float32)
        last[0, self.space] = 0  # ends the last word
        emissions = np.maximum(np.concatenate([log_probs, last]), IMPOSSIBLE, dtype=np.float32)
        decisive = emissions[find_decisive_frames(emissions)] - self.penalties
        with self.lexicon.with_words(self._context_entries(context)):
            hypotheses = self.decoder.decode(decisive.ctypes.data, *decisive.shape)
        scores: dict[str, float] = {}
        for hypothesis in hypotheses:
            # A hypothesis has one label more than there are frames at either end. Worse paths of a text follow.
            path = np.array(hypothesis.tokens[1:-1])
            scores.setdefault(collapse_ctc_path(path, self.labels), hypothesis.score)
            if len(scores) == count:
                break
        return scores

    def _make_context_entries(self, context: str) -> list[Entry]:
        if self.context_entry is None:
            return []
        words = {word for word in words_of(context) if len(word) <= LONGEST_CONTEXT_WORD} - self.common_words
        return [(self._spelling(word), *self.context_entry) for word in sorted(words)]

    def _spelling(self, token: str) -> list[int]:
        """The labels of a token's spelling."""
        try:
            return [self.label_ids[letter] for letter in letters_of(token)]
        except KeyError as error:
            raise InvalidArgument(
                f"language_model_file: expected words of {self.labels!r}, got {token!r} with {error}"
            ) from error


def find_decisive_frames(log_probs: Array) -> Array:
    """The indices of all frames but those which are certainly blank and follow such a frame.

    Parameters
    ----------
    log_probs : float32, shape = (frames, labels); the last column is the blank
    """
    is_blank = log_probs[:, -1] > CERTAIN_BLANK
    is_decisive = ~is_blank
    is_decisive[1:] |= ~is_blank[:-1]  # one blank must stay between two equal letters
    return np.flatnonzero(is_decisive)


def select_most_frequent(unigrams: Sequence[tuple[str, float]], count: int) -> frozenset[str]:
    return frozenset(token for token, _ in sorted(unigrams, key=lambda unigram: -unigram[1])[:count])


def _load_language_model(arpa_file: str, tokens: Sequence[str]) -> Any:  # a KenLM, which is imported here alone
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    try:
        with silent_stderr():
            return KenLM(arpa_file, Dictionary([*tokens, UNKNOWN]))
    except RuntimeError as error:
        raise InvalidArgument(f"language_model_file: KenLM cannot read {arpa_file}: {error}") from error
