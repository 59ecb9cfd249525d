"""Audio that the tests make for themselves, and log-probabilities of it."""

import numpy as np

from convai.description.pipeline import LABELS


def chirp(seconds, sample_rate=16_000, seed=0):
    """Something that sounds a little like speech to a network: a rising tone that swells, with some noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    tone = np.sin(2 * np.pi * (200 + 150 * rng.random() * time) * time) * np.abs(np.sin(2 * np.pi * 3 * time))
    return (0.3 * tone + 0.02 * rng.standard_normal(len(time))).astype(np.float32)


def silence(kind, seconds, sample_rate=16_000):
    """Digital silence, noise of -60 dBFS or hum of 50 Hz at -50 dBFS."""
    num_samples = round(seconds * sample_rate)
    made = {
        "zeros": np.zeros(num_samples),
        "noise": np.random.default_rng(1).normal(scale=10 ** (-60 / 20), size=num_samples),
        "hum": np.sqrt(2) * 10 ** (-50 / 20) * np.sin(2 * np.pi * 50 / sample_rate * np.arange(num_samples)),
    }
    return made[kind].astype(np.float32)


def sound(path, instead=()):
    """Log-probabilities of a path of labels; `instead` names (frame, label) pairs that are almost as likely."""
    columns = LABELS + "_"  # the blank
    probs = np.full((len(path), len(columns)), 1e-4)
    probs[np.arange(len(path)), [columns.index(label) for label in path]] = 1
    for frame, label in instead:
        probs[frame, columns.index(label)] = 0.7
    return np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


def misheard(path, said):
    """Sounds of `path`, in which what was really said is almost as likely."""
    return sound(path, [(frame, label) for frame, label in enumerate(said) if label != path[frame]])
