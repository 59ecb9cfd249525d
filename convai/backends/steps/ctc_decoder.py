"""Last step of hearing: Jasper's log-probabilities become the text of the question."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.beam_search import BeamSearch
from convai.backends.steps.rescorer import Rescorer
from convai.backends.steps.transcripts import text_of
from convai.description.limits import MAX_CONTEXT_BYTES
from convai.description.pipeline import LABELS, NUM_LABELS
from convai.errors import InvalidArgument

DECODERS = ("greedy", "beam_search")


def greedy_decode(log_probs: Array, labels: str) -> str:
    """The text of the best label of every frame.

    Parameters
    ----------
    log_probs : float32, shape = (frames, len(labels) + 1); the last column is the blank
    labels : one character per column
    """
    return text_of(log_probs.argmax(axis=1), labels)


@dataclass(frozen=True)
class CtcDecoder(PythonStep):
    """CTC log-probabilities -> the text that was heard.

    Greedy decoding writes down what each frame sounds like; beam search weighs it against a language model, and
    expects words of the text that the question is about. With a rescorer, the score of each of its best texts gains
    rescorer_weight * ln P(text | what it is about), and the best is chosen anew.
    """

    hints: ClassVar[tuple[str, ...]] = ("context",)

    decoder: str = "greedy"
    language_model_file: str | None = None
    beam_width: int = 700  # hypotheses kept from frame to frame
    language_model_weight: float = 0.8
    word_insertion_bonus: float = 0.5
    blank_penalty: float = 0.0  # of beam search, taken off the log-probability of every frame's blank
    space_penalty: float = 0.0
    rescorer_file: str | None = None  # of beam search
    rescorer_weight: float = 0.4
    nbest: int = 30  # texts of beam search that are rescored
    max_context_bytes: int = MAX_CONTEXT_BYTES  # a longer one is not looked at; qa_tokenizer refuses it

    def __post_init__(self):
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder: got {self.decoder!r}; allowed is {', '.join(map(repr, DECODERS))}")
        if self.decoder == "beam_search" and not self.language_model_file:
            raise ValueError("language_model_file: got none; allowed with beam_search is a file in the ARPA format")
        if not 1 <= self.beam_width <= 10000:
            raise ValueError(f"beam_width: got {self.beam_width}; allowed is 1 to 10000")
        if self.rescorer_file and self.decoder != "beam_search":
            raise ValueError(f"rescorer_file: got one with {self.decoder!r}; allowed is one with 'beam_search'")
        if not 1 <= self.nbest <= 1000:
            raise ValueError(f"nbest: got {self.nbest}; allowed is 1 to 1000")
        for name in ("language_model_weight", "blank_penalty", "space_penalty", "rescorer_weight"):
            if not 0 <= getattr(self, name) <= 10:
                raise ValueError(f"{name}: got {getattr(self, name)}; allowed is 0 to 10")
        if not -10 <= self.word_insertion_bonus <= 10:
            raise ValueError(f"word_insertion_bonus: got {self.word_insertion_bonus}; allowed is -10 to 10")
        if self.decoder == "beam_search":
            _ = self._beam_search, self._rescorer  # a wrong file shall fail at start, not at the first request

    @cached_property
    def _beam_search(self) -> BeamSearch:
        assert self.language_model_file is not None  # __post_init__ saw to it
        return BeamSearch(
            LABELS,
            self.language_model_file,
            beam_width=self.beam_width,
            language_model_weight=self.language_model_weight,
            word_insertion_bonus=self.word_insertion_bonus,
            blank_penalty=self.blank_penalty,
            space_penalty=self.space_penalty,
        )

    @cached_property
    def _rescorer(self) -> Rescorer | None:
        return Rescorer(Path(self.rescorer_file)) if self.rescorer_file else None

    def _searched(self, log_probs: Array, context: str) -> str:
        """The best text of beam search. Silence stays silent: to the rescorer any sentence is likelier than none."""
        scores = self._beam_search(log_probs, context, self.nbest if self._rescorer else 1)
        texts = list(scores)
        if not self._rescorer or not texts[0]:
            return texts[0]
        rescored = np.array(list(scores.values())) + self.rescorer_weight * self._rescorer(texts, context)
        return texts[int(rescored.argmax())]

    def __call__(self, *, log_probs: Array, log_probs_length: Array, context: str = "") -> dict[str, str]:
        """Text of one question; empty for silence.

        Parameters
        ----------
        log_probs : float32, shape = (frames, 29)
        log_probs_length : int32, shape = (1,), valid frames
        context : text whose words beam search expects

        Returns
        -------
        question, transcript : the same text
        """
        num_valid, num_frames = int(log_probs_length[0]), len(log_probs)
        if not 0 <= num_valid <= num_frames:
            raise InvalidArgument(
                f"got log_probs_length {num_valid}; allowed is 0 to {num_frames}, the frames of log_probs"
            )
        if log_probs.shape[1] != NUM_LABELS:
            raise InvalidArgument(f"got log_probs of {log_probs.shape[1]} labels; allowed are {NUM_LABELS}")
        valid = log_probs[:num_valid]
        if self.decoder == "greedy":
            question = greedy_decode(valid, LABELS)
        elif np.isnan(valid).any():  # no mistake of the caller: the network made them
            raise ValueError("got log_probs that hold NaN; allowed are numbers")
        else:
            expected = context if len(context.encode()) <= self.max_context_bytes else ""
            question = self._searched(valid, expected)
        return {"question": question, "transcript": question}
