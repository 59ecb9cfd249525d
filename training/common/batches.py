"""Chooses the clips of each training step: every epoch is shuffled anew, and clips of similar length share a batch."""

from dataclasses import dataclass

import numpy as np

from convai.errors import InvalidArgument

BATCHES_SORTED_TOGETHER = 40


@dataclass(frozen=True)
class BatchLimits:
    """Frames of a batch, padding included, and of its longest clip."""

    batch_frames: int
    longest_frames: float = float("inf")


class Batches:
    """The batches of a run, by the number of their step.

    The first steps have limits of their own: a network learns the sounds sooner from short clips.
    """

    def __init__(self, frames: list[int], limits: BatchLimits, first: BatchLimits, first_steps: int, seed: int):
        """
        Parameters
        ----------
        frames : length of each clip
        limits, first : of all later steps, and of the first `first_steps`
        """
        self.frames = np.array(frames)
        self.limits, self.first, self.first_steps, self.seed = limits, first, first_steps, seed
        for one in (limits, first):
            if not (self.frames <= one.longest_frames).any():
                raise InvalidArgument(
                    f"longest_frames must admit a clip, the shortest has {self.frames.min()}, "
                    f"got {one.longest_frames:g}"
                )
        self.epoch, self.begin, self.batches = -1, 0, []

    def at(self, step: int) -> np.ndarray:
        """Indices of the clips of a step: int64, shape = (clips of the batch,)."""
        if step < self.begin:
            self.epoch, self.begin, self.batches = -1, 0, []
        while step >= self.begin + len(self.batches):
            self.begin += len(self.batches)
            self.epoch += 1
            self.batches = self._draw_epoch(np.random.default_rng((self.seed, self.epoch)))
        return self.batches[step - self.begin]

    def _draw_epoch(self, rng: np.random.Generator) -> list[np.ndarray]:
        is_first = self.begin < self.first_steps
        limits = self.first if is_first else self.limits
        chosen = rng.permutation(np.flatnonzero(self.frames <= limits.longest_frames))
        pool_size = max(1, round(BATCHES_SORTED_TOGETHER * limits.batch_frames / self.frames[chosen].mean()))
        batches = []
        for start in range(0, len(chosen), pool_size):
            pool = chosen[start : start + pool_size]
            batches += self._cut(pool[np.argsort(self.frames[pool], kind="stable")], limits.batch_frames)
        shuffled = [batches[index] for index in rng.permutation(len(batches))]
        return shuffled[: self.first_steps - self.begin] if is_first else shuffled

    def _cut(self, ordered: np.ndarray, batch_frames: int) -> list[np.ndarray]:
        """Cut clips in ascending length into batches."""
        batches, start = [], 0
        for end in range(1, len(ordered) + 1):
            if end == len(ordered) or self.frames[ordered[end]] * (end + 1 - start) > batch_frames:
                batches.append(ordered[start:end])
                start = end
        return batches
