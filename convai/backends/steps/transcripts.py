"""Text in the form of a recogniser's transcript: the letters of Jasper's alphabet, numbers in words."""

import re
from functools import lru_cache

import numpy as np

from convai.arrays import Array
from convai.description.pipeline import LABELS
from convai.text.text_normalizer import normalise_text

CONTEXTS_KEPT = 32  # whose spoken form is cached for the next question about them, at most 32 KiB each
_unlabelled = re.compile(f"[^{LABELS}]")


def collapse_ctc_path(path: Array, labels: str) -> str:
    """Merge repeated labels, then drop the blanks.

    Parameters
    ----------
    path : int64, shape = (frames,), an index into `labels` for every frame; len(labels) is the blank

    Returns
    -------
    text with single spaces between words and none at its ends
    """
    is_new = np.append(True, path[1:] != path[:-1])[: len(path)]
    kept = path[is_new & (path != len(labels))]
    return " ".join("".join(labels[label] for label in kept.tolist()).split())


def speakable(sentence: str) -> str:
    """The sentence in the form that synthesisers receive, numbers and abbreviations in words; empty without a word.

    Otherwise synthesisers would differ from the transcript in how they read `1905` or `Dr.`.
    """
    spelled_out = normalise_text(sentence).replace("(", ", ").replace(")", ", ")
    return spelled_out if transcript(spelled_out) else ""


def transcript(sentence: str) -> str:
    """The letters of a sentence: lower case a to z, apostrophes inside words, single spaces."""
    return " ".join(
        stripped for word in _unlabelled.sub(" ", sentence.lower()).split() if (stripped := word.strip("'"))
    )


@lru_cache(CONTEXTS_KEPT)
def spoken_form(text: str) -> str:
    """The reference transcript of a text that is read out.

    >>> spoken_form("What did the 3rd army do in 1944?")
    'what did the third army do in nineteen forty four'
    >>> spoken_form("Who founded IBM?")
    'who founded ibm'
    """
    return transcript(normalise_text(text, spells_acronyms=False))


def words_of(text: str) -> set[str]:
    """The distinct words of a text's spoken form."""
    return set(spoken_form(text).split())
