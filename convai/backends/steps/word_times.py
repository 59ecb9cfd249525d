"""When each word of a transcript is said: forced alignment of the text to CTC log-probabilities."""

import numpy as np

from convai.arrays import Array
from convai.backends.steps.beam_search import find_decisive_frames

# From the last frame of a word's last label to the word's end. A network emits a label once, early in its sound: in 32
# sentences of two synthetic voices half of the words ended 0.08 s later or more.
LAST_LABEL_SECONDS = 0.08


def align_labels(log_probs: Array, labels: Array) -> tuple[Array, Array]:
    """Find the likeliest CTC path of a text: the first and the last frame of each of its labels.

    Parameters
    ----------
    log_probs : float32, shape = (frames, labels of the alphabet + 1); the last column is the blank
    labels : int64, shape = (labels,), at least one

    Returns
    -------
    first, last : int64, shape = (labels,), frames

    Raises
    ------
    ValueError : if the text is too long for the frames, or a log-probability is NaN
    """
    # States: a blank before, between and after the labels. A path may skip a blank, unless it separates equal labels.
    states = np.full(2 * len(labels) + 1, log_probs.shape[1] - 1)
    states[1::2] = labels
    skip_cost = np.full(len(states), -np.inf, np.float32)
    skip_cost[3::2][labels[1:] != labels[:-1]] = 0
    # scores[frame, state + 2] is the score of the best path that is in this state at this frame. The two columns before
    # the first state stand for states that no path reaches.
    scores = np.full((len(log_probs), len(states) + 2), -np.inf, np.float32)
    emissions = log_probs[:, states]
    scores[0, 2:4] = emissions[0, :2]
    for frame in range(1, len(log_probs)):
        before, now = scores[frame - 1], scores[frame, 2:]
        np.add(before[:-2], skip_cost, out=now)
        np.maximum(now, before[1:-1], out=now)
        np.maximum(now, before[2:], out=now)
        now += emissions[frame]
    path = np.empty(len(log_probs), np.int64)
    state = len(states) - 2 + int(scores[-1, -1] >= scores[-1, -2])
    if not np.isfinite(scores[-1, state + 2]):
        raise ValueError(f"labels: expected a text that fits into {len(log_probs)} frames, got {len(labels)} labels")
    path[-1] = state
    for frame in range(len(log_probs) - 1, 0, -1):
        skip, advance, stay = scores[frame - 1, state : state + 3].tolist()
        arrivals = (stay, advance, skip + skip_cost[state])
        state -= arrivals.index(max(arrivals))
        path[frame - 1] = state
    ids = 2 * np.arange(len(labels)) + 1
    return np.searchsorted(path, ids), np.searchsorted(path, ids, side="right") - 1


def time_words(log_probs: Array, text: str, alphabet: str, frame_seconds: float) -> Array:
    """Find when each word of a transcript starts and ends, in seconds from the first frame.

    Parameters
    ----------
    log_probs : float32, shape = (frames, len(alphabet) + 1); the last column is the blank
    text : words with single spaces between them
    frame_seconds : from one frame to the next

    Returns
    -------
    float32, shape = (words, 2); a word ends before the next one starts, and not after the last frame
    """
    if not text:
        return np.empty((0, 2), np.float32)
    frames = find_decisive_frames(log_probs)
    first, last = align_labels(log_probs[frames], np.array([alphabet.index(letter) for letter in text]))
    lengths = np.array([len(word) for word in text.split(" ")])
    starts = np.cumsum(lengths + 1) - lengths - 1  # positions in the text
    begins = frames[first[starts]] * frame_seconds
    ends = frames[last[starts + lengths - 1]] * frame_seconds + LAST_LABEL_SECONDS
    latest = np.append(begins[1:], len(log_probs) * frame_seconds)
    return np.stack([begins, np.minimum(ends, latest)], axis=1, dtype=np.float32)
