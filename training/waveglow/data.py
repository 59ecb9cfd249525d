"""Crops of recordings with their mels, for WaveGlow to learn from."""

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from tqdm import tqdm

from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, mel_spectrogram
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument, reading
from training.common.recordings import fingerprint, read_manifest

MARGIN_FRAMES = FFT_LENGTH // 2 // HOP_LENGTH  # that a frame of the mel sees on either side
PCM16_SCALE = 32_768


class Recordings:
    """Clips end to end, as 16-bit PCM in a file that is mapped into memory; made once and kept in a cache folder."""

    def __init__(self, samples: np.ndarray, ends: np.ndarray):
        self.samples, self.ends = samples, ends
        self.starts = np.concatenate(([0], ends[:-1]))

    @classmethod
    def read(cls, manifest: Path, cache: Path) -> "Recordings":
        """Read a manifest.jsonl, whose audio paths are relative to it. Raises InvalidArgument for another sample rate."""
        files = [recording.audio for recording in read_manifest(manifest, ("audio",))]
        key = fingerprint(manifest)
        samples_file, ends_file = cache / f"audio-{key}.npy", cache / f"audio-{key}.ends.npy"
        if not ends_file.exists():
            cache.mkdir(parents=True, exist_ok=True)
            clips = [read_pcm16(file) for file in tqdm(files, desc="audio", mininterval=10)]
            np.save(samples_file, np.concatenate(clips))
            np.save(ends_file, np.cumsum([len(clip) for clip in clips]))
        return cls(np.load(samples_file, mmap_mode="r"), np.load(ends_file))

    def crop(self, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A random stretch of one clip: audio, shape = (256 * frames,), and mel, shape = (80, frames).

        Clips are drawn in proportion to their length; a clip that is shorter is followed by silence.
        """
        clip = int(np.searchsorted(self.ends, rng.integers(self.ends[-1]), side="right"))
        audio = self.samples[self.starts[clip] : self.ends[clip]].astype(np.float32) / PCM16_SCALE
        surplus = len(audio) // HOP_LENGTH - frames
        begin = int(rng.integers(surplus + 1)) if surplus > 0 else 0
        audio = np.pad(audio, (0, max(0, (begin + frames + MARGIN_FRAMES) * HOP_LENGTH - len(audio))))
        # The mel of a crop with margins equals the crop of the mel.
        first = max(0, begin - MARGIN_FRAMES)
        around = mel_spectrogram(audio[first * HOP_LENGTH : (begin + frames + MARGIN_FRAMES) * HOP_LENGTH])
        mel = around[:, begin - first : begin - first + frames]
        return audio[begin * HOP_LENGTH : (begin + frames) * HOP_LENGTH], mel

    def batch(self, clips: int, frames: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Crops joined: audio, float32, shape = (clips, 256 * frames), and mel, shape = (clips, 80, frames)."""
        audios, mels = zip(*(self.crop(frames, rng) for _ in range(clips)), strict=True)
        return torch.from_numpy(np.stack(audios)), torch.from_numpy(np.stack(mels))


def read_pcm16(file: Path) -> np.ndarray:
    with reading(file, "audio"):
        samples, rate = soundfile.read(file, dtype="int16")
    if rate != VOICE_SAMPLE_RATE_HERTZ:
        raise InvalidArgument(f"{file} has {rate} Hz; allowed is {VOICE_SAMPLE_RATE_HERTZ}")
    return samples
