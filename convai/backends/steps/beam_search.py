"""Beam search: the texts that fit sound and language best; flashlight-text searches, KenLM knows the language.

The language model is a file in the ARPA format, gzipped or not. A word that it does not hold is spelled: the model
predicts its letters one by one, as tokens `+t +e +s +l +a`.

The words of the text that a question is about are expected in it: a token `<context>` stands for any of them in the
language model, and during the search for that question they all go by that name beside their own.
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
from convai.backends.steps.transcripts import text_of, words_of
from convai.errors import InvalidArgument

LETTER_MARK = "+"
SPACE = " "
SENTENCE_MARKS = ("<s>", "</s>")
UNKNOWN = "<unk>"
CONTEXT_WORD = "<context>"
COMMON_WORDS = 500  # so many of the most frequent words say nothing by being in a context
CONTEXTS_KEPT = 32  # whose words are known when the next question about them comes
LONGEST_CONTEXT_WORD = 40  # letters; native code descends into a word recursively
BEAM_THRESHOLD = 10.0  # hypotheses whose score is this much below the best one's are dropped; 8 loses expected words
LABELS_PER_FRAME = 8  # that hypotheses go on with; the others of 29 cost half of the time and gain nothing
CERTAIN_BLANK = np.log(0.99)  # a frame after a blank one that is surer than this decides nothing, and is skipped
IMPOSSIBLE = -1e3  # log-probability; finite, because the search subtracts scores from each other


def spelled(word: str) -> list[str]:
    """The tokens of a word that the language model does not hold."""
    return [LETTER_MARK + letter for letter in word]


def letters_of(token: str) -> str:
    """What is heard of a token: one letter of a spelled word, or a word and the space after it."""
    return token.removeprefix(LETTER_MARK) if token.startswith(LETTER_MARK) else token + SPACE


def read_unigrams(arpa_file: Path) -> Iterator[tuple[str, float]]:
    """The tokens of a language model and their log10 probabilities, marks of sentences and unknown words left out."""
    opener = gzip.open if arpa_file.suffix == ".gz" else open
    with opener(arpa_file, "rt", encoding="utf-8") as stream:
        if not any(line.startswith("\\1-grams:") for line in stream):
            raise InvalidArgument(f"language_model_file: got {arpa_file}; allowed is a file in the ARPA format")
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

    The score of a text is ln P(sound | text) + language_model_weight * ln P(text) + word_insertion_bonus * its words;
    each letter of a spelled word counts as a word.

    A network that was taught little says blank and space too often, because most frames are one of them. So
    P(sound | text) is what it says over what it says on the whole: P(label | frame) / P(label), to some power
    (Miao et al., EESEN, 2015). Of the labels' priors only these two matter, and each is one penalty.
    """

    def __init__(
        self,
        labels: str,
        language_model_file: str,
        *,
        beam_width: int,
        language_model_weight: float,
        word_insertion_bonus: float,
        blank_penalty: float = 0.0,
        space_penalty: float = 0.0,
    ):
        """Read the language model, which takes half a second. The blank is the label after the last of `labels`.

        Parameters
        ----------
        beam_width : hypotheses kept from frame to frame
        blank_penalty, space_penalty : taken off the log-probability of blank and space in every frame
        """
        # Imported here, because greedy decoding shall work where the package is missing.
        from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions

        self.labels, self.space, self.blank = labels, labels.index(SPACE), len(labels)
        self.label_ids = {letter: index for index, letter in enumerate(labels)}
        self.penalties = np.zeros(len(labels) + 1, np.float32)
        self.penalties[[self.space, self.blank]] = space_penalty, blank_penalty
        self._expected = lru_cache(CONTEXTS_KEPT)(self._words_expected)
        unigrams = list(read_unigrams(Path(language_model_file)))
        places = {token: (index, log_prob) for index, (token, log_prob) in enumerate(unigrams)}
        self.context_place = places.pop(CONTEXT_WORD, None)
        self.common_words = most_frequent(unigrams, COMMON_WORDS)
        self.lexicon = Lexicon(len(labels) + 1, [(self._spelling(token), *place) for token, place in places.items()])
        options = LexiconDecoderOptions(
            beam_size=beam_width,
            beam_size_token=LABELS_PER_FRAME,
            beam_threshold=BEAM_THRESHOLD,
            lm_weight=language_model_weight * np.log(10),  # KenLM counts in powers of ten
            word_score=word_insertion_bonus,
            unk_score=-np.inf,
            sil_score=0.0,
            log_add=False,
            criterion_type=CriterionType.CTC,
        )
        language_model = _language_model(language_model_file, [token for token, _ in unigrams])
        self.decoder = LexiconDecoder(
            options, self.lexicon.trie, language_model, self.space, self.blank, len(unigrams), [], False
        )

    def __call__(self, log_probs: Array, context: str = "", count: int = 1) -> dict[str, float]:
        """The best texts and their scores, best first; at least one, which is empty for silence.

        Parameters
        ----------
        log_probs : float32, shape = (frames, len(labels) + 1), without NaN
        context : text whose words are expected
        count : texts to find; there may be fewer
        """
        last = np.full((1, log_probs.shape[1]), IMPOSSIBLE, np.float32)
        last[0, self.space] = 0  # ends the last word
        emissions = np.maximum(np.concatenate([log_probs, last]), IMPOSSIBLE, dtype=np.float32)
        is_blank = emissions[:, self.blank] > CERTAIN_BLANK
        is_decisive = ~is_blank
        is_decisive[1:] |= ~is_blank[:-1]  # one blank must stay between two letters that are the same
        decisive = emissions[is_decisive] - self.penalties
        with self.lexicon.with_words(self._expected(context)):
            hypotheses = self.decoder.decode(decisive.ctypes.data, *decisive.shape)
        scores: dict[str, float] = {}
        for hypothesis in hypotheses:
            # One label more at either end than there are frames. Paths of the same text follow, worse ones.
            scores.setdefault(text_of(np.array(hypothesis.tokens[1:-1]), self.labels), hypothesis.score)
            if len(scores) == count:
                break
        return scores

    def _words_expected(self, context: str) -> list[Entry]:
        if self.context_place is None:
            return []
        words = {word for word in words_of(context) if len(word) <= LONGEST_CONTEXT_WORD} - self.common_words
        return [(self._spelling(word), *self.context_place) for word in sorted(words)]

    def _spelling(self, token: str) -> list[int]:
        """The labels of what is heard of a token."""
        try:
            return [self.label_ids[letter] for letter in letters_of(token)]
        except KeyError as error:
            raise InvalidArgument(
                f"language_model_file: word {token!r} holds {error}; allowed is {self.labels!r}"
            ) from error


def most_frequent(unigrams: Sequence[tuple[str, float]], count: int) -> frozenset[str]:
    return frozenset(token for token, _ in sorted(unigrams, key=lambda unigram: -unigram[1])[:count])


def _language_model(arpa_file: str, tokens: Sequence[str]) -> Any:  # a KenLM, which is imported here alone
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    try:
        with silent_stderr():
            return KenLM(arpa_file, Dictionary([*tokens, UNKNOWN]))
    except RuntimeError as error:
        raise InvalidArgument(f"language_model_file: got {arpa_file}, which KenLM cannot read: {error}") from error
