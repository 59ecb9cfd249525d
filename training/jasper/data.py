"""Recordings for Jasper: log-mels are computed once and kept in a cache."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from convai.backends.runtime.parameters import select_step_parameters
from convai.backends.steps.speech_features import SpeechFeatures, log_mel_spectrogram
from convai.description.pipeline import LABELS, SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument, reading
from convai.generator.profiles import PROFILES
from training.common.recordings import read_cached, read_manifest

HELD_OUT_SHARE = 10  # one speaker in ten


@functools.cache
def served_features() -> SpeechFeatures:
    """The step that normalises features in the `cpu` profile."""
    return SpeechFeatures(**select_step_parameters(PROFILES["cpu"].settings["speech_features"].parameters))


@dataclass(frozen=True)
class Clip:
    """One recording: its log-mel before normalisation, float16, shape = (frames, 64), and its transcript."""

    log_mel: np.ndarray
    text: str
    speaker: str

    @property
    def frames(self) -> int:
        return len(self.log_mel)

    @property
    def labels(self) -> list[int]:
        return [LABELS.index(letter) for letter in self.text]


def read_clips(manifest: Path, cache: Path, scale: float = 1.0) -> list[Clip]:
    """Read every clip of a manifest.jsonl, whose audio paths are relative to it.

    A `scale` of 1.1 plays the recordings 10 % faster: tempo, pitch and formants rise together.
    """
    recordings = read_manifest(manifest, ("audio", "text", "speaker"))
    for text in (recording.text for recording in recordings):
        if unknown := set(text) - set(LABELS):
            raise InvalidArgument(f"{manifest}: text {text!r}: expected only {LABELS!r}, got {sorted(unknown)}")

    def read_log_mel(file: Path) -> np.ndarray:
        with reading(file, "audio"):
            audio, sample_rate_hertz = soundfile.read(file, dtype="float32")
        if sample_rate_hertz * scale != SAMPLE_RATE_HERTZ:
            audio = soxr.resample(audio, sample_rate_hertz * scale, SAMPLE_RATE_HERTZ)
        return log_mel_spectrogram(audio).T.astype(np.float16)

    frames, ends = read_cached(manifest, cache, recordings, read_log_mel, scale)
    log_mels = np.split(frames, ends[:-1])
    return [Clip(frames, one.text, one.speaker) for frames, one in zip(log_mels, recordings, strict=True)]


def is_held_out(speaker: str) -> bool:
    """Whether a speaker belongs to the 10 % kept for evaluation; decided by the name alone."""
    return hashlib.sha256(speaker.encode()).digest()[0] % HELD_OUT_SHARE == 0
