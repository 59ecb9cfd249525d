"""What mel_padder, mel_splitter and audio_trimmer share: valid frames, tempo, padding and the noise of WaveGlow."""

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import HOP_LENGTH, SILENT_LOG_MEL
from convai.description.limits import MAX_SPEED, MIN_SPEED
from convai.description.pipeline import NUM_MELS
from convai.errors import InvalidArgument

DEFAULT_SEED = 0
MAX_SEED = 2**63 - 1


def select_valid_frames(mel: Array, mel_length: Array) -> Array:
    """The valid frames of a mel; one frame of silence if there is none, because engines refuse an empty axis.

    Parameters
    ----------
    mel : float32, shape = (80, frames)
    mel_length : int32, shape = (1,), valid frames

    Returns
    -------
    float32, shape = (80, valid frames)
    """
    num_valid, num_frames = int(mel_length[0]), mel.shape[1]
    if not 0 <= num_valid <= num_frames:
        raise InvalidArgument(f"mel_length: expected 0 to {num_frames} frames, got {num_valid}")
    return mel[:, :num_valid] if num_valid else np.full((NUM_MELS, 1), SILENT_LOG_MEL, np.float32)


def stretch_mel(mel: Array, speed: float | None) -> Array:
    """Resample a mel in time, which changes the tempo of its speech and keeps the pitch.

    Parameters
    ----------
    mel : float32, shape = (80, frames)
    speed : 0.5 to 2; None and 1 leave the mel as it is

    Returns
    -------
    float32, shape = (80, frames / speed), rounded, at least one frame
    """
    if speed is None or check_speed(speed) == 1:
        return mel
    frames = np.arange(mel.shape[1])
    places = np.linspace(0, frames[-1], max(round(len(frames) / speed), 1))
    return np.stack([np.interp(places, frames, band) for band in mel]).astype(np.float32)


def check_speed(speed: float) -> float:
    if not isinstance(speed, (int, float)) or isinstance(speed, bool) or not MIN_SPEED <= speed <= MAX_SPEED:
        raise InvalidArgument(f"speed: expected a number from {MIN_SPEED:g} to {MAX_SPEED:g}, got {speed!r}")
    return speed


def pad_mel(mel: Array, num_frames: int) -> Array:
    """Append silence to a mel; float32, shape = (80, num_frames)."""
    padded = np.full((NUM_MELS, num_frames), SILENT_LOG_MEL, np.float32)
    padded[:, : mel.shape[1]] = mel
    return padded


def make_noise(seed: int | None, n_group: int, num_frames: int) -> Array:
    """Draw standard normal noise, column by column, for mel frames.

    More frames extend the noise without changing it, so a larger bucket sounds the same.

    Parameters
    ----------
    seed : None = DEFAULT_SEED
    n_group : samples that WaveGlow makes at once

    Returns
    -------
    float32, shape = (n_group, num_frames * 256 / n_group)
    """
    rng = np.random.default_rng(DEFAULT_SEED if seed is None else check_seed(seed))
    columns = num_frames * HOP_LENGTH // n_group
    return np.ascontiguousarray(rng.standard_normal((columns, n_group), dtype=np.float32).T)


def check_seed(seed: int) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InvalidArgument(f"seed: expected a whole number from 0 to {MAX_SEED}, got {seed!r}")
    return seed


def check_n_group(n_group: int) -> None:
    if n_group < 1 or HOP_LENGTH % n_group:
        raise InvalidArgument(f"n_group: expected a divisor of {HOP_LENGTH}, the samples of a frame, got {n_group}")
