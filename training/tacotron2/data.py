"""Speech to learn the voice from: clips with their symbols and mels, grouped into batches of like length."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from tqdm import tqdm

from convai.audio.voice_mel import SILENT_LOG_MEL, mel_spectrogram
from convai.backends.steps.text_encoder import symbol_ids
from convai.description.pipeline import NUM_MELS
from convai.errors import InvalidArgument, reading
from training.common.recordings import fingerprint, read_manifest
from training.tacotron2.alignment import target_attention

HELD_OUT_EVERY = 50  # clips


@dataclass(frozen=True)
class Clip:
    """One text as it was spoken.

    Attributes
    ----------
    symbols : ids, as serving makes them
    ends : seconds at which each symbol ends
    log_mel : float16, shape = (frames, 80)
    """

    symbols: list[int]
    ends: list[float]
    log_mel: np.ndarray

    def __post_init__(self):
        if len(self.symbols) != len(self.ends) or not self.symbols:
            raise InvalidArgument(
                f"ends must be as many as symbols ({len(self.symbols)}), at least 1, got {len(self.ends)}"
            )

    @property
    def frames(self) -> int:
        return len(self.log_mel)


@dataclass(frozen=True)
class Batch:
    """
    Attributes
    ----------
    symbol_ids : int64, shape = (batch, symbols); symbols_length : int32, shape = (batch, 1)
    mels : float32, shape = (batch, 80, frames); mels_length : int32, shape = (batch, 1)
    gates : float32, shape = (batch, steps), 1 at each row's last step
    attention : float32, shape = (batch, steps, symbols), the teacher's; zero past a row's last step
    """

    symbol_ids: Tensor
    symbols_length: Tensor
    mels: Tensor
    mels_length: Tensor
    gates: Tensor
    attention: Tensor

    @property
    def step_mask(self) -> Tensor:
        """Which decoder steps are valid: bool, shape = (batch, steps)."""
        return self.attention.sum(2) > 0


def read_clips(manifest: Path, cache: Path) -> list[Clip]:
    """Read every clip of a manifest.jsonl as `synthesize` writes it; mels are computed once and kept in `cache`."""
    recordings = read_manifest(manifest, ("audio", "spoken", "ends"))
    key = fingerprint(manifest)
    file, ends_file = cache / f"mels-{key}.npy", cache / f"mels-{key}.ends.npy"
    if not ends_file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        mels = [read_log_mel(recording.audio) for recording in tqdm(recordings, desc="mels", mininterval=10)]
        np.save(file, np.concatenate(mels))
        np.save(ends_file, np.cumsum([len(mel) for mel in mels]))
    mels = np.split(np.load(file, mmap_mode="r"), np.load(ends_file)[:-1])
    return [Clip(symbol_ids(one.spoken), list(one.ends), mel) for one, mel in zip(recordings, mels, strict=True)]


def read_log_mel(file: Path) -> np.ndarray:
    with reading(file, "audio"):
        audio, _ = soundfile.read(file, dtype="float32")
    return mel_spectrogram(audio).T.astype(np.float16)


def split_held_out(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Clips to learn from, and those kept for measuring."""
    kept = [clip for number, clip in enumerate(clips) if number % HELD_OUT_EVERY]
    return kept, clips[::HELD_OUT_EVERY]


def collate(clips: list[Clip], frames_per_step: int) -> Batch:
    """Join clips; each mel ends with silence to a whole decoder step and one step more, at which the gate fires."""
    steps = [-(-clip.frames // frames_per_step) + 1 for clip in clips]
    symbols = [len(clip.symbols) for clip in clips]
    mels = np.full((len(clips), max(steps) * frames_per_step, NUM_MELS), SILENT_LOG_MEL, np.float32)
    ids = np.zeros((len(clips), max(symbols)), np.int64)
    gates = np.zeros((len(clips), max(steps)), np.float32)
    attention = np.zeros((len(clips), max(steps), max(symbols)), np.float32)
    for row, clip in enumerate(clips):
        mels[row, : clip.frames] = clip.log_mel
        mels[row, steps[row] * frames_per_step :] = 0
        ids[row, : symbols[row]] = clip.symbols
        gates[row, steps[row] - 1] = 1
        attention[row, : steps[row], : symbols[row]] = target_attention(clip.ends, steps[row], frames_per_step)
    return Batch(
        torch.from_numpy(ids),
        torch.tensor(symbols, dtype=torch.int32)[:, None],
        torch.from_numpy(mels.transpose(0, 2, 1).copy()),
        torch.tensor(steps, dtype=torch.int32)[:, None] * frames_per_step,
        torch.from_numpy(gates),
        torch.from_numpy(attention),
    )
