"""Speech for Tacotron 2: clips with their symbols and mels, and the attention that the teacher pays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from convai.audio.voice_mel import HOP_LENGTH, SILENT_LOG_MEL, mel_spectrogram
from convai.backends.steps.text_encoder import symbol_ids
from convai.description.pipeline import NUM_MELS, VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument, reading
from convai.networks.tacotron2.config import CONFIGS, Tacotron2Config
from training.common.recordings import read_cached, read_manifest
from training.common.training import Recipe, Schedule

HELD_OUT_EVERY = 50  # clips
SECONDS_PER_FRAME = HOP_LENGTH / VOICE_SAMPLE_RATE_HERTZ
PERIOD_STEPS = (15, 60)  # of the shift in `shift_attention`
DROPOUTS = ("p_encoder_dropout", "p_attention_dropout", "p_decoder_dropout", "p_postnet_dropout")


@dataclass(frozen=True)
class Tacotron2Recipe(Recipe):
    """
    Attributes
    ----------
    first_steps, first_longest_seconds : the first steps see no longer clip
    largest_shift : decoder steps by which the given attention may be off, see `shift_attention`
    sequential_from, sequential_share : from this step on, this share of batches is decoded step by step with the
        network's own attention, as in serving; that takes four times as long
    delta_weight, gate_weight, attention_weight : of the losses, beside the mel's
    """

    schedule: Schedule = Schedule(steps=40_000, peak_rate=1.5e-3, decay_share=0.4)
    size: str = "mini"
    batch_frames: int = 3_000  # 35 seconds, padding included
    first_steps: int = 1_000
    first_longest_seconds: float = 2.5
    largest_shift: float = 3.0
    sequential_from: int = 300
    sequential_share: float = 0.06
    delta_weight: float = 0.5
    gate_weight: float = 0.5
    gate_positive_weight: float = 5.0  # one step in a hundred ends a clip
    attention_weight: float = 0.2

    @property
    def config(self) -> Tacotron2Config:
        """The network without dropout, except the prenet's: a small network with unlimited speech blurs with it."""
        return replace(CONFIGS[self.size], **dict.fromkeys(DROPOUTS, 0.0))

    @property
    def first_longest_frames(self) -> int:
        return round(self.first_longest_seconds / SECONDS_PER_FRAME)


@dataclass(frozen=True)
class Clip:
    """One spoken text.

    Attributes
    ----------
    symbols : ids, as in serving
    ends : second at which each symbol ends
    log_mel : float16, shape = (frames, 80)
    """

    symbols: list[int]
    ends: list[float]
    log_mel: np.ndarray

    def __post_init__(self):
        if len(self.symbols) != len(self.ends) or not self.symbols:
            raise InvalidArgument(
                f"ends: expected one per symbol ({len(self.symbols)}), at least 1, got {len(self.ends)}"
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
    attention : float32, shape = (batch, steps, symbols), the teacher's; zero after a row's last step
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
    """Read the clips of a manifest.jsonl as `synthesize` writes it; mels are kept in the folder `cache`."""
    recordings = read_manifest(manifest, ("audio", "spoken", "ends"))
    frames, clip_ends = read_cached(manifest, cache, recordings, read_log_mel)
    mels = np.split(frames, clip_ends[:-1])
    return [Clip(symbol_ids(one.spoken), list(one.ends), mel) for one, mel in zip(recordings, mels, strict=True)]


def read_log_mel(file: Path) -> np.ndarray:
    with reading(file, "audio"):
        audio, _ = soundfile.read(file, dtype="float32")
    return mel_spectrogram(audio).T.astype(np.float16)


def split_held_out(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Clips to learn from, and clips to measure on."""
    return [clip for number, clip in enumerate(clips) if number % HELD_OUT_EVERY], clips[::HELD_OUT_EVERY]


def collate(clips: list[Clip], frames_per_step: int) -> Batch:
    """Join clips. Each mel is padded with silence to a whole decoder step, and one more step fires the gate."""
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
        attention[row, : steps[row], : symbols[row]] = compute_attention(clip.ends, steps[row], frames_per_step)
    return Batch(
        torch.from_numpy(ids),
        torch.tensor(symbols, dtype=torch.int32)[:, None],
        torch.from_numpy(mels.transpose(0, 2, 1).copy()),
        torch.tensor(steps, dtype=torch.int32)[:, None] * frames_per_step,
        torch.from_numpy(gates),
        torch.from_numpy(attention),
    )


def compute_attention(ends: Sequence[float] | np.ndarray, steps: int, frames_per_step: int) -> np.ndarray:
    """The share of each decoder step in which each symbol is spoken.

    Parameters
    ----------
    ends : float, shape = (symbols,), seconds in ascending order at which each symbol ends

    Returns
    -------
    float32, shape = (steps, symbols), rows sum to 1; steps after the end attend to the last symbol
    """
    # Frame f covers the hop around its centre, which is f hops after the start.
    edges = (np.arange(steps + 1) * frames_per_step - 0.5) * SECONDS_PER_FRAME
    stops = np.array(ends, np.float64)
    starts = np.concatenate(([-np.inf], stops[:-1]))
    stops[-1] = np.inf
    shared = np.minimum(edges[1:, None], stops) - np.maximum(edges[:-1, None], starts)
    shared = np.maximum(shared, 0)
    return (shared / shared.sum(1, keepdims=True)).astype(np.float32)


def shift_attention(attention: Tensor, largest_shift: float, rng: np.random.Generator) -> Tensor:
    """Let attention run ahead and lag behind, by up to `largest_shift` steps, differently in every row.

    A network that is given this attention, and still has to attend where the teacher does, learns to recover.

    Parameters
    ----------
    attention : float32, shape = (batch, steps, symbols), zero after each row's last step

    Returns
    -------
    float32, same shape, with the last step repeated after each row's last step
    """
    batch, steps, _ = attention.shape
    size, phase = rng.uniform(0, largest_shift, (batch, 1)), rng.uniform(0, 2 * np.pi, (batch, 1))
    period = rng.uniform(*PERIOD_STEPS, (batch, 1))
    shift = np.rint(size * np.sin(2 * np.pi * np.arange(steps) / period + phase)).astype(np.int64)
    last = (attention.sum(2) > 0).sum(1, keepdim=True) - 1
    source = torch.from_numpy(np.arange(steps) + shift).to(attention.device).clamp(min=0).minimum(last)
    return attention.gather(1, source.unsqueeze(2).expand_as(attention))
