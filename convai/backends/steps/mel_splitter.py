"""Between a phrase's mel and its sound: cuts the mel into pieces, each of which becomes sound by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import HOP_LENGTH, SILENT_LOG_MEL
from convai.backends.runtime.python_step import StreamingStep
from convai.backends.steps.buckets import check_buckets, smallest_bucket
from convai.backends.steps.mel_padder import check_seed, noise, valid_frames
from convai.backends.steps.phrase_level import frame_levels, gain_to, spoken_frames
from convai.backends.steps.phrase_splitter import NOTHING_FOUND
from convai.description.pipeline import NUM_MELS

REST_WITHIN = 1.5  # what is left after a piece belongs to it if both are no longer than so many times the piece


@dataclass(frozen=True)
class MelSplitter(StreamingStep):
    """Mel of a phrase -> its pieces, one after the other, ready for the vocoder.

    A piece comes with `context_frames` of what is around it. That is as far as the vocoder and its post-filter hear, so
    that its sound is the very same as within the whole phrase, and pieces join without a seam.
    """

    request_parameters: ClassVar[tuple[str, ...]] = ("seed",)

    buckets: Sequence[int]  # frames, padding included
    n_group: int  # samples that WaveGlow makes at once
    context_frames: int
    hop_length: int = HOP_LENGTH  # samples per frame
    first_frames: int = 96  # of the first piece of a stream, 1.1 s: the caller waits for it
    growth: float = 1.5  # a piece is so many times as long as the one before, whose sound bridges its making
    longest_frames: int = 1280
    default_seed: int = 0
    padding_value: float = SILENT_LOG_MEL
    level_dbfs: float = -22.0  # root mean square of the speech of every phrase; about that of whole answers

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        if self.n_group < 1 or self.hop_length < 1 or self.hop_length % self.n_group:
            raise ValueError(
                f"n_group, hop_length: got {self.n_group}, {self.hop_length}; "
                "allowed is a hop_length that n_group divides"
            )
        if not self.context_frames >= 0:
            raise ValueError(f"context_frames: got {self.context_frames}; allowed is 0 or more")
        if not 1 <= self.first_frames <= self.longest_frames <= self.buckets[-1] - 2 * self.context_frames:
            raise ValueError(
                f"first_frames, longest_frames: got {self.first_frames}, {self.longest_frames}; allowed are whole "
                f"numbers from 1 that do not fall, with context_frames on both sides within {self.buckets[-1]}"
            )
        if not self.growth >= 1:
            raise ValueError(f"growth: got {self.growth}; allowed is 1 or more")
        if not np.isfinite(self.padding_value):
            raise ValueError(f"padding_value: got {self.padding_value}; allowed is a finite number")
        if not -60 <= self.level_dbfs <= 0:
            raise ValueError(f"level_dbfs: got {self.level_dbfs}; allowed is -60 to 0")
        check_seed("default_seed", self.default_seed)

    def __call__(
        self,
        *,
        decoded_mel: Array,
        mel_length: Array,
        pause_seconds: Array,
        phrase_index: Array,
        is_last_phrase: Array,
        question: str,
        answer: str,
        answer_score: Array,
        answer_span: Array,
        seed: int | None = None,
    ) -> Iterator[dict[str, Array | str]]:
        """The pieces of one phrase, and with the first of them what else the caller of a stream gets.

        Parameters
        ----------
        decoded_mel : float32, shape = (80, frames)
        mel_length : int32, shape = (1,), valid frames; 0 becomes one frame of silence
        pause_seconds : float32, shape = (1,), silence after the phrase
        phrase_index : int32, shape = (1,), from 0
        is_last_phrase : bool, shape = (1,)
        seed : of the noise; None = default_seed

        Yields
        ------
        padded_mel : float32, shape = (80, bucket), the piece with its context
        piece_length : int32, shape = (1,), valid frames of it
        kept_frames : int32, shape = (2,), begin and end of the piece itself among them
        fades : bool, shape = (2,), whether the phrase begins with the piece, and ends
        gain : float32, shape = (1,), that brings the phrase to its level
        z : float32, shape = (n_group, bucket * hop_length / n_group)
        pause_seconds : float32, shape = (1,), silence after the piece
        is_last : bool, shape = (1,)
        question, answer, answer_score, answer_span : as given, then empty, 0, and -1, -1
        """
        seed = self.default_seed if seed is None else check_seed("seed", seed)
        mel = decoded_mel[:, : valid_frames(decoded_mel, mel_length)]
        if not mel_length[0]:
            mel = np.full((NUM_MELS, 1), self.padding_value, np.float32)
        found: dict[str, Array | str] = {
            "question": question,
            "answer": answer,
            "answer_score": answer_score,
            "answer_span": answer_span,
        }
        levels = frame_levels(mel)
        gain = np.array([gain_to(self.level_dbfs, levels)], np.float32)
        first, last = spoken_frames(levels)
        columns_per_frame = self.hop_length // self.n_group
        for index, (begin, end) in enumerate(self._pieces(first, last, is_first=not phrase_index[0])):
            start, stop = max(begin - self.context_frames, 0), min(end + self.context_frames, mel.shape[1])
            bucket = smallest_bucket(
                end + self.context_frames - start, self.buckets, "frames of mel, with what is around them"
            )
            z = noise(seed, self.n_group, (start + bucket) * columns_per_frame)
            padded_mel = np.full((NUM_MELS, bucket), self.padding_value, np.float32)
            padded_mel[:, : stop - start] = mel[:, start:stop]
            is_end = end == last
            yield {
                "padded_mel": padded_mel,
                "piece_length": np.array([stop - start], np.int32),
                "kept_frames": np.array([begin - start, end - start], np.int32),
                "fades": np.array([begin == first, is_end]),
                "gain": gain,
                "z": np.ascontiguousarray(z[:, start * columns_per_frame :]),
                "pause_seconds": pause_seconds if is_end else np.zeros_like(pause_seconds),
                "is_last": is_last_phrase & is_end,
                **(NOTHING_FOUND if index else found),
            }

    def _pieces(self, begin: int, end: int, is_first: bool) -> Iterator[tuple[int, int]]:
        """Begin and end of every piece between two frames."""
        wanted = float(self.first_frames if is_first else self.longest_frames)
        while begin < end:
            left = end - begin
            length = left if left <= min(wanted * REST_WITHIN, self.longest_frames) else round(wanted)
            yield begin, begin + length
            begin, wanted = begin + length, min(wanted * self.growth, self.longest_frames)
