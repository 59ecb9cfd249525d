"""Recordings to train on: log-mels read from manifests once, kept in a cache, and grouped into batches by length."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from convai.backends.glue.speech_features import FRAMES_PER_SECOND, SpeechFeatures, log_mel
from convai.generator.pipeline import LABELS, NUM_FEATURES, SAMPLE_RATE_HERTZ
from convai.generator.profiles import PROFILES

SERVED_FEATURES = SpeechFeatures(**PROFILES["cpu"].settings["speech_features"].parameters)
BATCHES_SORTED_TOGETHER = 50
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
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if unknown := set(line["text"]) - set(LABELS):
            raise ValueError(f"{manifest}: text {line['text']!r} holds {sorted(unknown)}; allowed is {LABELS!r}")
    key = hashlib.sha256(f"{manifest.resolve()} {scale} {lines}".encode()).hexdigest()[:16]
    file = cache / f"{manifest.parent.name}-{key}.npy"
    ends_file = file.with_suffix(".ends.npy")
    if not ends_file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        frames = [_read_log_mel(manifest.parent / line["audio"], scale) for line in tqdm(lines, mininterval=10)]
        np.save(file, np.concatenate(frames) if frames else np.zeros((0, NUM_FEATURES), np.float16))
        np.save(ends_file, np.cumsum([len(clip) for clip in frames]))
    log_mels = np.split(np.load(file, mmap_mode="r"), np.load(ends_file)[:-1])
    return [Clip(frames, line["text"], line["speaker"]) for frames, line in zip(log_mels, lines, strict=True)]


def _read_log_mel(file: Path, scale: float) -> np.ndarray:
    audio, sample_rate_hertz = soundfile.read(file, dtype="float32")
    if sample_rate_hertz * scale != SAMPLE_RATE_HERTZ:
        audio = soxr.resample(audio, sample_rate_hertz * scale, SAMPLE_RATE_HERTZ)
    return log_mel(audio).T.astype(np.float16)


def is_held_out(speaker: str) -> bool:
    """Whether a speaker belongs to the tenth that is kept for evaluation; decided by the name alone."""
    return hashlib.sha256(speaker.encode()).digest()[0] % HELD_OUT_SHARE == 0


def batches_of_epoch(
    clips: list[Clip], batch_seconds: float, longest_seconds: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Shuffle the clips and group those of like length; a batch holds `batch_seconds` of audio, padding included.

    Returns
    -------
    list of int64, shape = (clips of the batch,): indices into `clips`
    """
    frames = np.array([clip.frames for clip in clips])
    chosen = rng.permutation(np.flatnonzero(frames <= longest_seconds * FRAMES_PER_SECOND))
    budget = batch_seconds * FRAMES_PER_SECOND
    pool_size = max(1, round(BATCHES_SORTED_TOGETHER * budget / max(frames[chosen].mean(), 1)))
    batches = []
    for start in range(0, len(chosen), pool_size):
        pool = chosen[start : start + pool_size]
        batches += _fill_batches(pool[np.argsort(frames[pool], kind="stable")], frames, budget)
    return [batches[index] for index in rng.permutation(len(batches))]


def _fill_batches(ordered: np.ndarray, frames: np.ndarray, budget: float) -> list[np.ndarray]:
    batches, start = [], 0
    for end in range(1, len(ordered) + 1):
        if end == len(ordered) or frames[ordered[end]] * (end + 1 - start) > budget:
            batches.append(ordered[start:end])
            start = end
    return batches
