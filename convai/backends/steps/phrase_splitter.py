"""Between understanding and speaking: cuts what is to be spoken into phrases, each of which becomes sound by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.python_step import StreamingStep
from convai.backends.steps.phrases import CLAUSE_ENDS, COMMAS, SENTENCE_ENDS, cut, spoken_blocks
from convai.errors import InvalidArgument

NO_SCORE = np.zeros(1, np.float32)
NO_SPAN = np.full(2, -1, np.int32)
NOTHING_FOUND = {"question": "", "answer": "", "answer_score": NO_SCORE, "answer_span": NO_SPAN}


@dataclass(frozen=True)
class PhraseSplitter(StreamingStep):
    """Text -> its phrases one after the other, each with the silence that follows it."""

    shortest_characters: int = 12
    # Each cut costs words, for a listener mishears the beginnings of phrases most; the caller waits for all of the
    # first phrase's mel.
    longest_characters: int = 240
    sentence_pause_seconds: float = 0.4
    clause_pause_seconds: float = 0.25
    comma_pause_seconds: float = 0.15
    breath_pause_seconds: float = 0.0  # where no punctuation asks for one, beside the margins of the phrases
    paragraph_pause_seconds: float = 0.8
    max_text_characters: int = 100_000

    def __post_init__(self):
        if not 1 <= self.shortest_characters <= self.longest_characters:
            raise ValueError(
                f"shortest_characters, longest_characters: got {self.shortest_characters}, {self.longest_characters}; "
                "allowed are whole numbers from 1, the second not below the first"
            )
        for name in ("sentence", "clause", "comma", "breath", "paragraph"):
            seconds = getattr(self, f"{name}_pause_seconds")
            if not 0 <= seconds <= 5:
                raise ValueError(f"{name}_pause_seconds: got {seconds}; allowed is 0 to 5")

    def __call__(
        self,
        *,
        text: str,
        question: str = "",
        answer: str = "",
        answer_score: Array = NO_SCORE,
        answer_span: Array = NO_SPAN,
    ) -> Iterator[dict[str, Array | str]]:
        """The phrases of one text, and with the first of them what else the caller of a stream gets.

        Yields
        ------
        phrase : text to speak, spelled out
        pause_seconds : float32, shape = (1,), silence after it
        phrase_index : int32, shape = (1,), from 0
        is_last_phrase : bool, shape = (1,)
        question, answer : as given, then empty
        answer_score : float32, shape = (1,), as given, then 0
        answer_span : int32, shape = (2,), as given, then -1, -1
        """
        if len(text) > self.max_text_characters:
            raise InvalidArgument(
                f"got a text of {len(text)} characters; allowed are at most {self.max_text_characters}"
            )
        found: dict[str, Array | str] = {
            "question": question,
            "answer": answer,
            "answer_score": answer_score,
            "answer_span": answer_span,
        }
        phrases = enumerate(self._phrases(text))
        upcoming = next(phrases, None)
        if upcoming is None:
            raise InvalidArgument(f"got a text of {len(text)} characters without a word; allowed is any other text")
        while upcoming is not None:
            (index, (phrase, pause_seconds)), upcoming = upcoming, next(phrases, None)
            yield {
                "phrase": phrase,
                "pause_seconds": np.array([pause_seconds if upcoming else 0], np.float32),
                "phrase_index": np.array([index], np.int32),
                "is_last_phrase": np.array([upcoming is None]),
                **(NOTHING_FOUND if index else found),
            }

    def _phrases(self, text: str) -> Iterator[tuple[str, float]]:
        """Each phrase, and the silence that its punctuation wants after it in seconds."""
        for block, ends_paragraph in spoken_blocks(text):
            phrases = list(cut(block, self.shortest_characters, self.longest_characters))
            pauses = [self._pause_seconds(phrase) for phrase in phrases]
            if ends_paragraph:
                pauses[-1] = self.paragraph_pause_seconds
            yield from zip(phrases, pauses, strict=True)

    def _pause_seconds(self, phrase: str) -> float:
        by_ends = {
            SENTENCE_ENDS: self.sentence_pause_seconds,
            CLAUSE_ENDS: self.clause_pause_seconds,
            COMMAS: self.comma_pause_seconds,
        }
        return next((pause for ends, pause in by_ends.items() if phrase[-1] in ends), self.breath_pause_seconds)
