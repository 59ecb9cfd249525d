"""Between Tacotron 2 and WaveGlow: sets the speed of the mel, pads it to a bucket and draws the noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.checks import check_buckets, check_range, choose_bucket
from convai.backends.steps.mel_frames import check_n_group, make_noise, pad_mel, select_valid_frames, stretch_mel


@dataclass(frozen=True)
class MelPadder(PythonStep):
    """Mel -> the valid mel, the mel padded to a bucket, and noise of the padded length."""

    request_parameters: ClassVar[tuple[str, ...]] = ("seed", "speed")

    buckets: Sequence[int]  # frames, padding included
    receptive_field_frames: int  # frames after a frame that influence the vocoder's audio of it
    n_group: int  # samples that WaveGlow makes at once

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        check_range("receptive_field_frames", self.receptive_field_frames, 0, self.buckets[-1] - 1)
        check_n_group(self.n_group)

    def __call__(
        self, *, decoded_mel: Array, mel_length: Array, seed: int | None = None, speed: float | None = None
    ) -> dict[str, Array]:
        """Prepare one mel for the vocoder.

        Parameters
        ----------
        decoded_mel : float32, shape = (80, frames)
        mel_length : int32, shape = (1,), valid frames; 0 becomes one frame of silence
        seed : of the noise
        speed : of the speech, 0.5 to 2; None = 1

        Returns
        -------
        mel : float32, shape = (80, valid frames / speed)
        padded_mel : float32, shape = (80, bucket)
        stretched_length : int32, shape = (1,), valid frames of it; 0 as given
        z : float32, shape = (n_group, bucket * 256 / n_group)
        """
        mel = np.ascontiguousarray(stretch_mel(select_valid_frames(decoded_mel, mel_length), speed))
        num_frames = mel.shape[1] + self.receptive_field_frames
        bucket = choose_bucket("decoded_mel", num_frames, self.buckets, "frames with the vocoder's padding")
        return {
            "mel": mel,
            "padded_mel": pad_mel(mel, bucket),
            "stretched_length": np.where(mel_length, mel.shape[1], 0).astype(np.int32),
            "z": make_noise(seed, self.n_group, bucket),
        }
