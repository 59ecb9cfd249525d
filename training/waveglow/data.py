"""Crops of recordings with their mels, for WaveGlow to learn from."""

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, mel_spectrogram
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument, reading
from training.common.recordings import read_cached, read_manifest

MARGIN_FRAMES = FFT_LENGTH // 2 // HOP_LENGTH  # that a frame of the mel covers on either side
PCM16_SCALE = 32_768


class Recordings:
    """All clips in one array: int16, shape = (samples of all clips,), with the end of each clip, shape = (clips,)."""

    def __init__(self, samples: np.ndarray, ends: np.ndarray):
        self.samples, self.ends = samples, ends
        self.starts = np.concatenate(([0], ends[:-1]))

    @classmethod
    def read(cls, manifest: Path, cache: Path) -> "Recordings":
        """Read a manifest.jsonl. Raises InvalidArgument if a recording has another sample rate than 22,050 Hz."""
        return cls(*read_cached(manifest, cache, read_manifest(manifest, ("audio",)), read_pcm16))

    def crop(self, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a random crop of one clip.

        Clips are drawn in proportion to their length. A shorter clip is padded with silence.

        Returns
        -------
        audio : float32, shape = (256 * frames,)
        mel : float32, shape = (80, frames)
        """
        clip = int(np.searchsorted(self.ends, rng.integers(self.ends[-1]), side="right"))
        audio = self.samples[self.starts[clip] : self.ends[clip]].astype(np.float32) / PCM16_SCALE
        surplus = len(audio) // HOP_LENGTH - frames
        begin = int(rng.integers(surplus + 1)) if surplus > 0 else 0
        audio = np.pad(audio, (0, max(0, (begin + frames + MARGIN_FRAMES) * HOP_LENGTH - len(audio))))
        # The mel of a crop with margins equals the crop of the mel.
        first = max(0, begin - MARGIN_FRAMES)
        mel = mel_spectrogram(audio[first * HOP_LENGTH : (begin + frames + MARGIN_FRAMES) * HOP_LENGTH])
        return audio[begin * HOP_LENGTH : (begin + frames) * HOP_LENGTH], mel[:, begin - first : begin - first + frames]

    def batch(self, clips: int, frames: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw crops: audio, float32, shape = (clips, 256 * frames), and mel, float32, shape = (clips, 80, frames)."""
        audios, mels = zip(*(self.crop(frames, rng) for _ in range(clips)), strict=True)
        return torch.from_numpy(np.stack(audios)), torch.from_numpy(np.stack(mels))


def read_pcm16(file: Path) -> np.ndarray:
    with reading(file, "audio"):
        samples, rate = soundfile.read(file, dtype="int16")
    if rate != VOICE_SAMPLE_RATE_HERTZ:
        raise InvalidArgument(f"{file}: sample rate: expected {VOICE_SAMPLE_RATE_HERTZ} Hz, got {rate}")
    return samples
