"""Text in the form in which speech recognition writes it down: the letters of Jasper's alphabet, numbers in words."""

import numpy as np

from convai.arrays import Array
from convai.backends.steps.text_normalizer import normalize
from convai.description.pipeline import LABELS


def text_of(path: Array, labels: str) -> str:
    """Merge repeated labels, then drop the blanks.

    Parameters
    ----------
    path : int64, shape = (frames,), an index into `labels` for every frame; len(labels) is the blank

    Returns
    -------
    Text with single spaces between words and none at its ends.
    """
    is_new = np.append(True, path[1:] != path[:-1])[: len(path)]
    kept = path[is_new & (path != len(labels))]
    return " ".join("".join(labels[label] for label in kept).split())


def speakable(sentence: str) -> str:
    """The sentence as it is handed to a synthesiser, numbers and abbreviations in words; empty if nothing is spoken.

    Synthesisers would otherwise disagree with the transcript on how to read `1905` or `Dr.`.
    """
    spoken = normalize(sentence).replace("(", ", ").replace(")", ", ")
    return spoken if transcript(spoken) else ""


def transcript(sentence: str) -> str:
    """What a listener writes down: lower case a to z, apostrophes inside words, single spaces."""
    letters = "".join(letter if letter in LABELS else " " for letter in sentence.lower())
    return " ".join(stripped for word in letters.split() if (stripped := word.strip("'")))


def spoken_form(text: str) -> str:
    """The text as a perfect listener writes it down when it is read out.

    >>> spoken_form("What did the 3rd army do in 1944?")
    'what did the third army do in nineteen forty four'
    """
    return transcript(normalize(text))


def words_of(text: str) -> set[str]:
    """The different words of a text, as a listener writes them down."""
    return set(spoken_form(text).split())
