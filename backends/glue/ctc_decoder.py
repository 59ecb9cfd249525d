"""Last step of hearing: Jasper's log-probabilities become the text of the question."""

from dataclasses import dataclass

import numpy as np

from convai.generator.pipeline import LABELS, NUM_LABELS

DECODERS = ("greedy",)


def greedy_decode(log_probs: np.ndarray, labels: str) -> str:
    """Take the best label of every frame, merge repeats, then drop the blanks.

    Parameters
    ----------
    log_probs : float32, shape = (frames, len(labels) + 1); the last column is the blank
    labels : one character per column

    Returns
    -------
    Text with single spaces between words and none at its ends.
    """
    best = log_probs.argmax(axis=1)
    is_new = np.append(True, best[1:] != best[:-1])[: len(best)]
    kept = best[is_new & (best != len(labels))]
    return " ".join("".join(labels[label] for label in kept).split())


@dataclass(frozen=True)
class CtcDecoder:
    """CTC log-probabilities -> the text that was heard."""

    decoder: str = "greedy"

    def __post_init__(self):
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder: got {self.decoder!r}; allowed is {', '.join(map(repr, DECODERS))}")

    def __call__(self, *, log_probs: np.ndarray, log_probs_length: np.ndarray) -> dict[str, str]:
        """Text of one question; empty for silence.

        Parameters
        ----------
        log_probs : float32, shape = (frames, 29)
        log_probs_length : int32, shape = (1,), valid frames

        Returns
        -------
        question, transcript : the same text
        """
        num_valid, num_frames = int(log_probs_length[0]), len(log_probs)
        if not 0 <= num_valid <= num_frames:
            raise ValueError(f"got log_probs_length {num_valid}; allowed is 0 to {num_frames}, the frames of log_probs")
        if log_probs.shape[1] != NUM_LABELS:
            raise ValueError(f"got log_probs of {log_probs.shape[1]} labels; allowed are {NUM_LABELS}")
        question = greedy_decode(log_probs[:num_valid], LABELS)
        return {"question": question, "transcript": question}
