"""Last step of speaking: cuts the vocoder's audio to what was said, post-filters it and keeps it from clipping."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, filterbank
from convai.backends.runtime.metrics import Counter, Row
from convai.backends.runtime.python_step import PythonStep
from convai.backends.steps.denoiser import denoise
from convai.backends.steps.mel_consistency import fit_to_mel
from convai.backends.steps.mel_padder import valid_frames
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument

POST_FILTERS = ("off", "mel_consistent", "denoiser")
SILENT_PEAK = 10 ** (-50 / 20)  # what stays below is no speech, and would become noise if raised
MAX_PAUSE_SECONDS = 5.0
MIN_FILTERED_FRAMES = FFT_LENGTH // HOP_LENGTH  # a shorter audio cannot be mirrored at its ends


def fade_out(audio: Array, num_samples: int) -> Array:
    """Let the last `num_samples` of `audio` fall to zero along half a cosine: a hard cut would click."""
    num_samples = min(num_samples, len(audio))
    faded = audio.copy()
    faded[len(audio) - num_samples :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, num_samples + 1) / max(num_samples, 1))
    return faded


def bring_peak_between(audio: Array, lowest_dbfs: float | None, highest_dbfs: float) -> Array:
    """Scale `audio` so that its peak lies between two levels; without a lowest one, or if silent, it only goes down."""
    peak = float(np.abs(audio).max(initial=0.0))
    lowest = 0.0 if lowest_dbfs is None or peak < SILENT_PEAK else 10 ** (lowest_dbfs / 20)
    wanted = min(max(peak, lowest), 10 ** (highest_dbfs / 20))
    return audio if wanted == peak else audio * np.float32(wanted / peak)


@cache
def load_bias(file: str) -> Array:
    """The vocoder's bias, which `convai export` measures: float32, shape = (513,)."""
    bias = np.load(file, allow_pickle=False)
    if bias.shape != (FFT_LENGTH // 2 + 1,):
        raise InvalidArgument(f"bias_file: got shape {bias.shape}; allowed is ({FFT_LENGTH // 2 + 1},)")
    return bias


def answer_seconds(inputs: Row, outputs: Row) -> float:
    """Length of one spoken answer, as it is given out."""
    return len(outputs["answer_audio"]) / VOICE_SAMPLE_RATE_HERTZ


@dataclass(frozen=True)
class AudioTrimmer(PythonStep):
    """Vocoder audio and its mel -> the spoken answer: valid samples only, filtered, faded, at a fit level."""

    counters: ClassVar[tuple[Counter, ...]] = (
        Counter("convai_answer_seconds_total", "Audio of answers spoken, in seconds", answer_seconds),
    )

    post_filter: str = "mel_consistent"  # "off" for a vocoder that needs no help
    post_filter_strength: float = 1.0  # share of the filtered audio in the result
    post_filter_iterations: int = 4  # of "mel_consistent"
    denoiser_strength: float = 0.01  # of "denoiser", NVIDIA's own: share of the vocoder's bias to take off
    bias_file: str | None = None  # for "denoiser"; `convai export` of WaveGlow writes it
    fade_milliseconds: float = 5.0
    peak_dbfs: float = -1.0  # louder answers are turned down to it
    lowest_peak_dbfs: float | None = None  # quieter answers are turned up to it

    def __post_init__(self):
        if self.post_filter not in POST_FILTERS:
            raise ValueError(f"post_filter: got {self.post_filter!r}; allowed are {', '.join(map(repr, POST_FILTERS))}")
        if not 0 <= self.post_filter_strength <= 1:
            raise ValueError(f"post_filter_strength: got {self.post_filter_strength}; allowed is 0 to 1")
        if self.post_filter_iterations < 1:
            raise ValueError(f"post_filter_iterations: got {self.post_filter_iterations}; allowed is at least 1")
        if not 0 <= self.fade_milliseconds <= 1000:
            raise ValueError(f"fade_milliseconds: got {self.fade_milliseconds}; allowed is 0 to 1000")
        if not -60 <= self.peak_dbfs <= 0:
            raise ValueError(f"peak_dbfs: got {self.peak_dbfs}; allowed is -60 to 0")
        if self.lowest_peak_dbfs is not None and not -60 <= self.lowest_peak_dbfs <= self.peak_dbfs:
            raise ValueError(f"lowest_peak_dbfs: got {self.lowest_peak_dbfs}; allowed is -60 to peak_dbfs")
        if self.denoiser_strength < 0:
            raise ValueError(f"denoiser_strength: got {self.denoiser_strength}; allowed is 0 or more")
        if self.post_filter == "denoiser" and self.bias_file is None:
            raise ValueError("bias_file: got none; allowed with denoiser is the file that `convai export` writes")
        self._load()

    @property
    def _bias(self) -> Array:
        assert self.bias_file is not None  # __post_init__ saw to it
        return load_bias(self.bias_file)

    def _load(self) -> None:
        """Read what the first request would otherwise wait for."""
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
        """Audio of one answer, or of a piece of a phrase of it.

        Parameters
        ----------
        audio : float32, shape = (256 * padded frames,), 22,050 Hz
        padded_mel : float32, shape = (80, padded frames)
        mel_length : int32, shape = (1,), valid frames; 0 is spoken as one frame of silence
        kept_frames : int32, shape = (2,), begin and end of a piece among the valid frames; the others are its context.
            None, as for the next three, is an answer that stands alone
        fades : bool, shape = (2,), whether a piece begins from zero, and ends at it
        gain : float32, shape = (1,), of a piece
        pause_seconds : float32, shape = (1,), silence after a piece, 0 to 5

        Returns
        -------
        answer_audio : float32, shape = (256 * valid frames,), or of a piece (256 * kept frames + pause,)
        """
        num_valid = valid_frames(padded_mel, mel_length)
        if len(audio) < num_valid * HOP_LENGTH:
            raise InvalidArgument(
                f"got {len(audio)} samples of audio for {num_valid} valid frames; "
                f"allowed are at least {num_valid * HOP_LENGTH}"
            )
        # Everything below sees the valid part alone, or the bucket would be heard.
        spoken = audio[: num_valid * HOP_LENGTH] if mel_length[0] else np.zeros(HOP_LENGTH, np.float32)
        spoken = self._filtered(spoken, padded_mel[:, :num_valid])
        if kept_frames is not None and fades is not None and gain is not None and pause_seconds is not None:
            return {"answer_audio": self._piece(spoken, kept_frames, fades, gain, float(pause_seconds[0]))}
        spoken = fade_out(spoken, self._fade_samples)
        return {"answer_audio": bring_peak_between(spoken, self.lowest_peak_dbfs, self.peak_dbfs)}

    @property
    def _fade_samples(self) -> int:
        return round(self.fade_milliseconds / 1000 * VOICE_SAMPLE_RATE_HERTZ)

    def _piece(self, audio: Array, kept_frames: Array, fades: Array, gain: Array, pause_seconds: float) -> Array:
        begin, end = (HOP_LENGTH * int(frame) for frame in kept_frames)
        if not 0 <= begin < end <= len(audio):
            raise InvalidArgument(f"got kept_frames {list(kept_frames)}; allowed are two of {len(audio) // HOP_LENGTH}")
        if not 0 <= pause_seconds <= MAX_PAUSE_SECONDS:
            raise InvalidArgument(f"got pause_seconds {pause_seconds}; allowed is 0 to {MAX_PAUSE_SECONDS:g}")
        highest = np.float32(10 ** (self.peak_dbfs / 20))
        piece = np.clip(audio[begin:end] * gain, -highest, highest)  # turned down, it would fit its neighbours no more
        if fades[0]:
            piece = fade_out(piece[::-1], self._fade_samples)[::-1]
        if fades[1]:
            piece = fade_out(piece, self._fade_samples)
        return np.append(piece, np.zeros(round(pause_seconds * VOICE_SAMPLE_RATE_HERTZ), np.float32))

    def _filtered(self, audio: Array, mel: Array) -> Array:
        if self.post_filter == "off" or self.post_filter_strength == 0 or mel.shape[1] < MIN_FILTERED_FRAMES:
            return audio
        if self.post_filter == "denoiser":
            filtered = denoise(audio, self._bias, self.denoiser_strength)
        else:
            filtered = fit_to_mel(audio, mel, self.post_filter_iterations)
        return audio + np.float32(self.post_filter_strength) * (filtered - audio)
