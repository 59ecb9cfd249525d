"""Between mel and voice: cuts the mel to its valid frames, pads it to a bucket and draws WaveGlow's noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import HOP_LENGTH, SILENT_LOG_MEL
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.buckets import check_buckets, smallest_bucket
from convai.description.pipeline import NUM_MELS
from convai.errors import InvalidArgument

MAX_SEED = 2**63 - 1


def valid_frames(mel: Array, mel_length: Array) -> int:
    """Frames to speak: `mel_length`, but at least one, because engines choke on an axis of length zero."""
    num_frames, frames = int(mel_length[0]), mel.shape[1]
    if not 0 <= num_frames <= frames:
        raise InvalidArgument(f"got mel_length {num_frames}; allowed is 0 to {frames}, the frames of the mel")
    return max(num_frames, 1)


def noise(seed: int, n_group: int, columns: int) -> Array:
    """Standard normal noise, float32, shape = (n_group, columns), drawn column by column.

    More columns extend the noise without changing those before them, so a larger bucket sounds the same.
    """
    rng = np.random.default_rng(seed)
    return np.ascontiguousarray(rng.standard_normal((columns, n_group), dtype=np.float32).T)


@dataclass(frozen=True)
class MelPadder(PythonStep):
    """Mel -> the valid mel, the mel padded to a bucket, and noise of the padded length."""

    request_parameters: ClassVar[tuple[str, ...]] = ("seed",)

    buckets: Sequence[int]  # frames, padding included
    receptive_field_frames: int  # how far ahead the vocoder hears
    n_group: int  # samples that WaveGlow makes at once
    hop_length: int = HOP_LENGTH  # samples per frame
    default_seed: int = 0
    padding_value: float = SILENT_LOG_MEL

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        if not 0 <= self.receptive_field_frames < self.buckets[-1]:
            raise ValueError(
                f"receptive_field_frames: got {self.receptive_field_frames}; "
                f"allowed is 0 to {self.buckets[-1] - 1}, below the last bucket"
            )
        if self.n_group < 1 or self.hop_length < 1 or self.hop_length % self.n_group:
            raise ValueError(
                f"n_group, hop_length: got {self.n_group}, {self.hop_length}; "
                "allowed is a hop_length that n_group divides"
            )
        if not np.isfinite(self.padding_value):
            raise ValueError(f"padding_value: got {self.padding_value}; allowed is a finite number")
        check_seed("default_seed", self.default_seed)

    def __call__(self, *, decoded_mel: Array, mel_length: Array, seed: int | None = None) -> dict[str, Array]:
        """One mel made ready for the vocoder.

        Parameters
        ----------
        decoded_mel : float32, shape = (80, frames)
        mel_length : int32, shape = (1,), valid frames; 0 becomes one frame of silence
        seed : of the noise; None = default_seed

        Returns
        -------
        mel : float32, shape = (80, valid frames)
        padded_mel : float32, shape = (80, bucket)
        z : float32, shape = (n_group, bucket * hop_length / n_group)
        """
        seed = self.default_seed if seed is None else check_seed("seed", seed)
        num_valid = valid_frames(decoded_mel, mel_length)
        mel = np.ascontiguousarray(decoded_mel[:, :num_valid])
        if not mel_length[0]:
            mel = np.full((NUM_MELS, 1), self.padding_value, np.float32)
        bucket = smallest_bucket(
            num_valid + self.receptive_field_frames, self.buckets, "frames of mel, with the padding of the vocoder"
        )
        padded_mel = np.full((NUM_MELS, bucket), self.padding_value, np.float32)
        padded_mel[:, :num_valid] = mel
        return {
            "mel": mel,
            "padded_mel": padded_mel,
            "z": noise(seed, self.n_group, bucket * self.hop_length // self.n_group),
        }


def check_seed(name: str, seed: int) -> int:
    """Return `seed` if it is one; InvalidArgument otherwise."""
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InvalidArgument(f"{name}: got {seed!r}; allowed is a whole number from 0 to {MAX_SEED}")
    return seed
