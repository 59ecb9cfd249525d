"""Between a phrase's mel and its sound: splits the mel into pieces that become sound alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import HOP_LENGTH
from convai.backends.runtime.python_step import StreamingStep
from convai.backends.steps.checks import check_buckets, check_range, choose_bucket
from convai.backends.steps.mel_frames import check_n_group, make_noise, pad_mel, select_valid_frames, stretch_mel
from convai.backends.steps.phrase_level import compute_gain, estimate_levels, find_speech
from convai.backends.steps.phrase_splitter import NO_FINDINGS

FIRST_FRAMES = 96  # of the first piece of a stream, 1.1 s: the caller waits for it
GROWTH = 1.5  # ratio of a piece's length to that of the one before, whose playing time covers its computation
LONGEST_FRAMES = 1280
REST_RATIO = 1.5  # the rest of a phrase joins the last piece if both are at most this many times the piece's length
LEVEL_DBFS = -22.0  # root mean square of the speech of every phrase; about that of whole answers


@dataclass(frozen=True)
class MelSplitter(StreamingStep):
    """Mel of a phrase -> its pieces, one after the other, ready for the vocoder.

    A piece has `context_frames` of its neighbours on both sides, the receptive field of the vocoder and its
    post-filter. Its sound is therefore the same as within the whole phrase, and pieces join without a seam.
    """

    request_parameters: ClassVar[tuple[str, ...]] = ("seed", "speed")

    buckets: Sequence[int]  # frames, padding included
    n_group: int  # samples that WaveGlow makes at once
    context_frames: int

    def __post_init__(self):
        check_buckets("buckets", self.buckets)
        check_n_group(self.n_group)
        # The longest piece, with its context on both sides, must fit into the last bucket.
        check_range("context_frames", self.context_frames, 0, (self.buckets[-1] - LONGEST_FRAMES) / 2)

    def __call__(
        self,
        *,
        decoded_mel: Array,
        mel_length: Array,
        pause_seconds: Array,
        phrase_index: Array,
        is_last_phrase: Array,
        seed: int | None = None,
        speed: float | None = None,
        **findings: Array | str,
    ) -> Iterator[dict[str, Array | str]]:
        """Split one phrase.

        Parameters
        ----------
        decoded_mel : float32, shape = (80, frames)
        mel_length : int32, shape = (1,), valid frames; 0 becomes one frame of silence
        pause_seconds : float32, shape = (1,), silence after the phrase
        phrase_index : int32, shape = (1,), from 0
        is_last_phrase : bool, shape = (1,)
        seed : of the noise
        speed : of the speech and its pauses, 0.5 to 2; None = 1
        findings : the four tensors of NO_FINDINGS for the caller of a stream, which the first piece carries

        Yields
        ------
        padded_mel : float32, shape = (80, bucket), the piece with its context
        piece_length : int32, shape = (1,), valid frames of it
        kept_frames : int32, shape = (2,), begin and end of the piece itself among them
        fades : bool, shape = (2,), whether the piece begins the phrase, and ends it
        gain : float32, shape = (1,), brings the phrase to its level
        z : float32, shape = (n_group, bucket * 256 / n_group)
        pause_seconds : float32, shape = (1,), silence after the piece
        is_last : bool, shape = (1,)
        question, answer, answer_score, answer_span : as given, then empty, 0, and -1, -1
        """
        mel = stretch_mel(select_valid_frames(decoded_mel, mel_length), speed)
        pause_seconds = pause_seconds / np.float32(speed or 1)
        levels = estimate_levels(mel)
        gain = np.array([compute_gain(LEVEL_DBFS, levels)], np.float32)
        first, last = find_speech(levels)
        for index, (begin, end) in enumerate(split_frames(first, last, starts_stream=not phrase_index[0])):
            start, stop = max(begin - self.context_frames, 0), min(end + self.context_frames, mel.shape[1])
            num_frames = end + self.context_frames - start
            bucket = choose_bucket("decoded_mel", num_frames, self.buckets, "frames with their context")
            noise = make_noise(seed, self.n_group, start + bucket)
            is_end = end == last
            yield {
                "padded_mel": pad_mel(mel[:, start:stop], bucket),
                "piece_length": np.array([stop - start], np.int32),
                "kept_frames": np.array([begin - start, end - start], np.int32),
                "fades": np.array([begin == first, is_end]),
                "gain": gain,
                "z": np.ascontiguousarray(noise[:, start * HOP_LENGTH // self.n_group :]),
                "pause_seconds": pause_seconds if is_end else np.zeros_like(pause_seconds),
                "is_last": is_last_phrase & is_end,
                **(NO_FINDINGS if index else findings),
            }


def split_frames(begin: int, end: int, starts_stream: bool) -> Iterator[tuple[int, int]]:
    """Yield begin and end of every piece between two frames."""
    wanted = float(FIRST_FRAMES if starts_stream else LONGEST_FRAMES)
    while begin < end:
        left = end - begin
        length = left if left <= min(wanted * REST_RATIO, LONGEST_FRAMES) else round(wanted)
        yield begin, begin + length
        begin, wanted = begin + length, min(wanted * GROWTH, LONGEST_FRAMES)
