"""Recordings to train on: log-mels read from manifests once and kept in a cache."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from convai.backends.steps.speech_features import SpeechFeatures, log_mel_spectrogram
from convai.description.pipeline import LABELS, SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument, reading
from convai.generator.profiles import PROFILES
from training.common.recordings import fingerprint, read_manifest

SERVED_FEATURES = SpeechFeatures(**PROFILES["cpu"].settings["speech_features"].parameters)
HELD_OUT_SHARE = 10  # one speaker in ten


@dataclass(frozen=True)
class Clip:
    """One recording: its log-mel before normalisation, float16, shape = (frames, 64), and what is said."""

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

    A `scale` other than 1 plays the recordings that much faster: tempo, pitch and formants rise together.
    """
    recordings = read_manifest(manifest, ("audio", "text", "speaker"))
    for text in (recording.text for recording in recordings):
        if unknown := set(text) - set(LABELS):
            raise InvalidArgument(f"{manifest}: text {text!r} holds {sorted(unknown)}; allowed is {LABELS!r}")
    file = cache / f"{manifest.parent.name}-{fingerprint(manifest, scale)}.npy"
    ends_file = file.with_suffix(".ends.npy")
    if not ends_file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        frames = [_read_log_mel(recording.audio, scale) for recording in tqdm(recordings, mininterval=10)]
        np.save(file, np.concatenate(frames))
        np.save(ends_file, np.cumsum([len(clip) for clip in frames]))
    log_mels = np.split(np.load(file, mmap_mode="r"), np.load(ends_file)[:-1])
    return [Clip(frames, one.text, one.speaker) for frames, one in zip(log_mels, recordings, strict=True)]


def _read_log_mel(file: Path, scale: float) -> np.ndarray:
    with reading(file, "audio"):
        audio, sample_rate_hertz = soundfile.read(file, dtype="float32")
    if sample_rate_hertz * scale != SAMPLE_RATE_HERTZ:
        audio = soxr.resample(audio, sample_rate_hertz * scale, SAMPLE_RATE_HERTZ)
    return log_mel_spectrogram(audio).T.astype(np.float16)


def is_held_out(speaker: str) -> bool:
    """Whether a speaker belongs to the tenth that is kept for evaluation; decided by the name alone."""
    return hashlib.sha256(speaker.encode()).digest()[0] % HELD_OUT_SHARE == 0
