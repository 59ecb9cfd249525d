"""Last step of recognition: Jasper's log-probabilities become the text of the question."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.beam_search import BeamSearch
from convai.backends.steps.checks import check_choice, check_range, check_text_size
from convai.backends.steps.rescorer import Rescorer
from convai.backends.steps.transcripts import collapse_ctc_path
from convai.backends.steps.word_times import time_words
from convai.description.pipeline import LABELS, NUM_LABELS
from convai.errors import InvalidArgument

DECODERS = ("greedy", "beam_search")


def greedy_decode(log_probs: Array, labels: str) -> str:
    """Decode the best label of every frame.

    Parameters
    ----------
    log_probs : float32, shape = (frames, len(labels) + 1); the last column is the blank
    labels : one character per column
    """
    return collapse_ctc_path(log_probs.argmax(axis=1), labels)


@dataclass(frozen=True)
class CtcDecoder(PythonStep):
    """CTC log-probabilities -> the transcript of the question.

    Greedy decoding uses the sound alone; beam search weighs it against a language model and biases words of the
    context. With a rescorer, rescorer_weight * ln P(text | context) is added to the score of each of the n best texts,
    and the best sum wins.
    """

    decoder: str = "greedy"
    language_model_file: str | None = None
    beam_width: int = 700  # hypotheses kept from frame to frame
    language_model_weight: float = 0.8
    word_insertion_bonus: float = 0.5  # the word score of beam search
    blank_penalty: float = 0.0  # of beam search, subtracted from the log-probability of every frame's blank
    space_penalty: float = 0.0
    rescorer_file: str | None = None  # of beam search
    rescorer_weight: float = 0.4
    nbest: int = 30  # texts of beam search that are rescored
    frame_seconds: float = 0.02  # from one frame of log-probabilities to the next

    outputs_on_request: ClassVar[tuple[str, ...]] = ("words", "word_times")

    def __post_init__(self):
        check_choice("decoder", self.decoder, DECODERS)
        if self.decoder == "beam_search" and not self.language_model_file:
            raise InvalidArgument("language_model_file: expected an ARPA file, which beam_search needs, got none")
        if self.rescorer_file and self.decoder != "beam_search":
            raise InvalidArgument(f"rescorer_file: expected decoder 'beam_search', got {self.decoder!r}")
        check_range("beam_width", self.beam_width, 1, 10_000)
        check_range("nbest", self.nbest, 1, 1000)
        for name in ("language_model_weight", "blank_penalty", "space_penalty", "rescorer_weight"):
            check_range(name, getattr(self, name), 0, 10)
        check_range("word_insertion_bonus", self.word_insertion_bonus, -10, 10)
        check_range("frame_seconds", self.frame_seconds, 0.001, 1)
        if self.decoder == "beam_search":
            _ = self._beam_search, self._rescorer  # fails at load if a file is missing or wrong

    @cached_property
    def _beam_search(self) -> BeamSearch:
        assert self.language_model_file is not None  # checked in __post_init__
        return BeamSearch(
            LABELS,
            self.language_model_file,
            beam_width=self.beam_width,
            language_model_weight=self.language_model_weight,
            word_score=self.word_insertion_bonus,
            blank_penalty=self.blank_penalty,
            space_penalty=self.space_penalty,
        )

    @cached_property
    def _rescorer(self) -> Rescorer | None:
        return Rescorer(Path(self.rescorer_file)) if self.rescorer_file else None

    def _search(self, log_probs: Array, context: str) -> str:
        """The best text of beam search. Silence is not rescored: the rescorer prefers any sentence to none."""
        scores = self._beam_search(log_probs, context, self.nbest if self._rescorer else 1)
        texts = list(scores)
        if not self._rescorer or not texts[0]:
            return texts[0]
        rescored = np.array(list(scores.values())) + self.rescorer_weight * self._rescorer(texts, context)
        return texts[int(rescored.argmax())]

    def __call__(
        self, *, log_probs: Array, log_probs_length: Array, context: str = "", requested: Collection[str] = ()
    ) -> dict[str, Array | str]:
        """Decode one question; the text is empty for silence.

        Parameters
        ----------
        log_probs : float32, shape = (frames, 29)
        log_probs_length : int32, shape = (1,), valid frames
        context : text whose words beam search biases
        requested : which of `outputs_on_request` to compute besides

        Returns
        -------
        question, transcript : the same text
        words : object, shape = (words,), UTF-8 bytes
        word_times : float32, shape = (words, 2), start and end in seconds from the start of the audio
        """
        check_text_size("context", context)
        num_valid, num_frames = int(log_probs_length[0]), len(log_probs)
        if not 0 <= num_valid <= num_frames:
            raise InvalidArgument(f"log_probs_length: expected 0 to {num_frames} frames, got {num_valid}")
        if log_probs.shape[1] != NUM_LABELS:
            raise InvalidArgument(f"log_probs: expected {NUM_LABELS} labels, got {log_probs.shape[1]}")
        valid = log_probs[:num_valid]
        if np.isnan(valid).any():  # not an invalid argument: the network made them
            raise ValueError("log_probs: expected numbers, got NaN")
        question = greedy_decode(valid, LABELS) if self.decoder == "greedy" else self._search(valid, context)
        outputs: dict[str, Array | str] = {"question": question, "transcript": question}
        if requested:
            words = np.array([word.encode() for word in question.split()], np.object_)
            outputs |= {"words": words, "word_times": time_words(valid, question, LABELS, self.frame_seconds)}
        return outputs
