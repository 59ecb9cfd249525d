"""Last step of speech synthesis: cuts the vocoder's audio to its valid samples, post-filters and levels it."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, filterbank
from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.checks import check_choice, check_range
from convai.backends.steps.mel_frames import select_valid_frames
from convai.backends.steps.post_filters import denoise, fit_to_mel
from convai.description.limits import MAX_PAUSE_SECONDS, MIN_SPEED
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument

POST_FILTERS = ("off", "mel_consistent", "denoiser")
POST_FILTER_ITERATIONS = 4  # of "mel_consistent"
FADE_SAMPLES = 110  # 5 ms
PEAK_DBFS = -1.0  # louder answers are turned down to it
SILENT_PEAK = 10 ** (-50 / 20)  # audio whose peak is below it has no speech; raised, it would be noise
LONGEST_PAUSE_SECONDS = MAX_PAUSE_SECONDS / MIN_SPEED
MIN_FILTERED_FRAMES = FFT_LENGTH // HOP_LENGTH  # a shorter audio cannot be mirrored at its ends


def fade_out(audio: Array, num_samples: int) -> Array:
    """Let the last samples fall to zero along half a cosine, because a hard cut clicks."""
    num_samples = min(num_samples, len(audio))
    faded = audio.copy()
    faded[len(audio) - num_samples :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, num_samples + 1) / max(num_samples, 1))
    return faded


def bring_peak_between(audio: Array, lowest_dbfs: float | None, highest_dbfs: float) -> Array:
    """Scale audio so that its peak lies between two levels; without a lowest one, or if silent, only down."""
    peak = float(np.abs(audio).max(initial=0.0))
    lowest = 0.0 if lowest_dbfs is None or peak < SILENT_PEAK else 10 ** (lowest_dbfs / 20)
    wanted = min(max(peak, lowest), 10 ** (highest_dbfs / 20))
    return audio if wanted == peak else audio * np.float32(wanted / peak)


@cache
def load_bias(file: str) -> Array:
    """Load the vocoder's bias, which `convai export` measures: float32, shape = (513,)."""
    bias = np.load(file, allow_pickle=False)
    if bias.shape != (FFT_LENGTH // 2 + 1,):
        raise InvalidArgument(f"bias_file: expected shape ({FFT_LENGTH // 2 + 1},), got {bias.shape}")
    return bias


def answer_seconds(inputs: Row, outputs: Row) -> float:
    """Length of one spoken answer."""
    return len(outputs["answer_audio"]) / VOICE_SAMPLE_RATE_HERTZ


@dataclass(frozen=True)
class AudioTrimmer(PythonStep):
    """Vocoder audio and its mel -> the spoken answer: its valid samples, filtered, faded and levelled."""

    counters: ClassVar[tuple[Counter, ...]] = (
        Counter("convai_answer_seconds_total", "Audio of answers spoken, in seconds", answer_seconds),
    )

    post_filter: str = "mel_consistent"  # "off" for a vocoder that needs none
    denoiser_strength: float = 0.01  # of "denoiser", NVIDIA's value: share of the vocoder's bias to subtract
    bias_file: str | None = None  # for "denoiser"; written by `convai export` of WaveGlow
    lowest_peak_dbfs: float | None = None  # quieter answers are turned up to it

    def __post_init__(self):
        check_choice("post_filter", self.post_filter, POST_FILTERS)
        if self.lowest_peak_dbfs is not None:
            check_range("lowest_peak_dbfs", self.lowest_peak_dbfs, -60, PEAK_DBFS)
        check_range("denoiser_strength", self.denoiser_strength, 0, 100)
        if self.post_filter == "denoiser" and self.bias_file is None:
            raise InvalidArgument("bias_file: expected the file that `convai export` writes for the denoiser, got none")
        self._load()

    @property
    def _bias(self) -> Array:
        assert self.bias_file is not None  # checked in __post_init__
        return load_bias(self.bias_file)

    def _load(self) -> None:
        """Compute or read before the first request what the filter needs."""
        if self.post_filter == "mel_consistent":
            filterbank()
        if self.post_filter == "denoiser":
            _ = self._bias

    def __call__(
        self,
        *,
        audio: Array,
        padded_mel: Array,
        mel_length: Array,
        kept_frames: Array | None = None,
        fades: Array | None = None,
        gain: Array | None = None,
        pause_seconds: Array | None = None,
    ) -> dict[str, Array]:
        """Finish the audio of one answer, or of one piece of a streamed phrase.

        Parameters
        ----------
        audio : float32, shape = (256 * padded frames,), 22,050 Hz
        padded_mel : float32, shape = (80, padded frames)
        mel_length : int32, shape = (1,), valid frames; 0 is spoken as one frame of silence
        kept_frames : int32, shape = (2,), begin and end of a piece among the valid frames; the others are its context.
            None, as for the next three, for a whole answer
        fades : bool, shape = (2,), whether a piece begins from zero, and ends at it
        gain : float32, shape = (1,), of a piece
        pause_seconds : float32, shape = (1,), silence after a piece, 0 to 20

        Returns
        -------
        answer_audio : float32, shape = (256 * valid frames,), or of a piece (256 * kept frames + pause,)
        """
        mel = select_valid_frames(padded_mel, mel_length)
        num_samples = mel.shape[1] * HOP_LENGTH
        if len(audio) < num_samples:
            raise InvalidArgument(f"audio: expected at least {num_samples} samples, got {len(audio)}")
        # Everything below sees the valid part alone, so that the result does not depend on the bucket.
        valid = audio[:num_samples] if mel_length[0] else np.zeros(num_samples, np.float32)
        filtered = self._filter(valid, mel)
        if kept_frames is not None and fades is not None and gain is not None and pause_seconds is not None:
            return {"answer_audio": cut_piece(filtered, kept_frames, fades, gain, float(pause_seconds[0]))}
        faded = fade_out(filtered, FADE_SAMPLES)
        return {"answer_audio": bring_peak_between(faded, self.lowest_peak_dbfs, PEAK_DBFS)}

    def _filter(self, audio: Array, mel: Array) -> Array:
        if self.post_filter == "off" or mel.shape[1] < MIN_FILTERED_FRAMES:
            return audio
        if self.post_filter == "denoiser":
            return denoise(audio, self._bias, self.denoiser_strength)
        return fit_to_mel(audio, mel, POST_FILTER_ITERATIONS)


def cut_piece(audio: Array, kept_frames: Array, fades: Array, gain: Array, pause_seconds: float) -> Array:
    """Cut a piece out of its context, with gain, fades and the silence after it; see `AudioTrimmer`."""
    begin, end = (HOP_LENGTH * int(frame) for frame in kept_frames)
    if not 0 <= begin < end <= len(audio):
        raise InvalidArgument(
            f"kept_frames: expected two rising numbers from 0 to {len(audio) // HOP_LENGTH}, got {kept_frames.tolist()}"
        )
    check_range("pause_seconds", pause_seconds, 0, LONGEST_PAUSE_SECONDS)
    highest = np.float32(10 ** (PEAK_DBFS / 20))
    piece = np.clip(audio[begin:end] * gain, -highest, highest)  # turned down, it would not fit its neighbours
    if fades[0]:
        piece = fade_out(piece[::-1], FADE_SAMPLES)[::-1]
    if fades[1]:
        piece = fade_out(piece, FADE_SAMPLES)
    return np.append(piece, np.zeros(round(pause_seconds * VOICE_SAMPLE_RATE_HERTZ), np.float32))
