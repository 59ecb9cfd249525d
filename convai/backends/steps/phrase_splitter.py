"""Between question answering and speech synthesis: splits the text to speak into phrases that become sound alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.python_step import StreamingStep
from convai.description.limits import MAX_TEXT_CHARACTERS
from convai.errors import InvalidArgument
from convai.text.phrases import CLAUSE_ENDS, COMMAS, SENTENCE_ENDS, cut_phrases, spell_out_blocks

SHORTEST_CHARACTERS = 12
# Each cut costs intelligibility, because listeners misunderstand the beginnings of phrases most; but the caller waits
# for the whole mel of the first phrase.
LONGEST_CHARACTERS = 240
PAUSE_SECONDS = {SENTENCE_ENDS: 0.4, CLAUSE_ENDS: 0.25, COMMAS: 0.15}  # after a phrase that ends in one of these

NO_FINDINGS: dict[str, Array | str] = {
    "question": "",
    "answer": "",
    "answer_score": np.zeros(1, np.float32),
    "answer_span": np.full(2, -1, np.int32),
}


@dataclass(frozen=True)
class PhraseSplitter(StreamingStep):
    """Text -> its phrases one after the other, each with the silence that follows it."""

    def __call__(self, *, text: str, **findings: Array | str) -> Iterator[dict[str, Array | str]]:
        """Split one text.

        Parameters
        ----------
        findings : the four tensors of NO_FINDINGS for the caller of a stream, which the first phrase carries

        Yields
        ------
        phrase : text to speak, spelled out
        pause_seconds : float32, shape = (1,), silence after it
        phrase_index : int32, shape = (1,), from 0
        is_last_phrase : bool, shape = (1,)
        question, answer, answer_score, answer_span : as given, then empty, 0, and -1, -1
        """
        if len(text) > MAX_TEXT_CHARACTERS:
            raise InvalidArgument(f"text: expected at most {MAX_TEXT_CHARACTERS} characters, got {len(text)}")
        phrases = enumerate(split_phrases(text))
        upcoming = next(phrases, None)
        if upcoming is None:
            raise InvalidArgument(f"text: expected at least one word, got none in {len(text)} characters")
        while upcoming is not None:
            (index, (phrase, pause_seconds)), upcoming = upcoming, next(phrases, None)
            yield {
                "phrase": phrase,
                "pause_seconds": np.array([pause_seconds if upcoming else 0], np.float32),
                "phrase_index": np.array([index], np.int32),
                "is_last_phrase": np.array([upcoming is None]),
                **(NO_FINDINGS if index else NO_FINDINGS | findings),
            }


def split_phrases(text: str, longest_characters: int = LONGEST_CHARACTERS) -> Iterator[tuple[str, float]]:
    """Yield each phrase and the silence in seconds that its punctuation, paragraph or SSML requires after it."""
    for block, pause_seconds in spell_out_blocks(text):
        phrases = list(cut_phrases(block, SHORTEST_CHARACTERS, longest_characters))
        pauses = [choose_pause(phrase) for phrase in phrases]
        pauses[-1] = max(pauses[-1], pause_seconds)
        yield from zip(phrases, pauses, strict=True)


def choose_pause(phrase: str) -> float:
    return next((seconds for ends, seconds in PAUSE_SECONDS.items() if phrase[-1] in ends), 0.0)
