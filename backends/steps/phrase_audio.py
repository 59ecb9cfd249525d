"""The audio of one phrase made ready to stand between others: no silence of its own, a common level, a given pause."""

import numpy as np

from convai.pipeline.arrays import Array
from convai.pipeline.description import VOICE_HOP_LENGTH, VOICE_SAMPLE_RATE_HERTZ

SILENT_LEVEL = 10 ** (-50 / 20)  # what stays below throughout is no speech, and would become noise if raised
ACTIVE_RATIO = 10 ** (-25 / 20)  # frames this far below the loudest are pauses, which have no say in the level
SOUND_RATIO = 10 ** (-55 / 20)  # frames this far below it are silence; the softest consonants are above
# Kept before and after what is heard, 116 and 46 ms: the first sound of a word begins softly, and is the one misheard.
FRAMES_BEFORE, FRAMES_AFTER = 10, 4


def between_silences(audio: Array) -> Array:
    """`audio` without the silence at its ends, but for a margin; as it is if it is silent throughout.

    Parameters
    ----------
    audio : float32, shape = (256 * frames,)
    """
    levels = frame_levels(audio)
    (heard,) = np.nonzero(levels > max(SOUND_RATIO * levels.max(initial=0.0), 1e-9))
    if levels.max(initial=0.0) < SILENT_LEVEL or not len(heard):
        return audio
    first, last = max(heard[0] - FRAMES_BEFORE, 0), heard[-1] + 1 + FRAMES_AFTER
    return audio[first * VOICE_HOP_LENGTH : last * VOICE_HOP_LENGTH]


def speech_level(audio: Array) -> float:
    """Root mean square of the frames in which someone speaks; 0 for silence."""
    levels = frame_levels(audio)
    active = levels[levels >= max(ACTIVE_RATIO * levels.max(initial=0.0), SILENT_LEVEL)]
    return float(np.sqrt(np.mean(active**2))) if len(active) else 0.0


def bring_level_to(audio: Array, level_dbfs: float, highest_peak_dbfs: float) -> Array:
    """Scale `audio` to a level of its speech, or less if its peak would get too high; silence stays."""
    level, peak = speech_level(audio), float(np.abs(audio).max(initial=0.0))
    if level == 0:
        return audio
    return audio * np.float32(min(10 ** (level_dbfs / 20) / level, 10 ** (highest_peak_dbfs / 20) / peak))


def fade_ends(audio: Array, num_samples: int) -> Array:
    """Let `audio` rise from zero and fall to it along half a cosine, so that nothing it is joined to makes it click."""
    num_samples = min(num_samples, len(audio) // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(num_samples, dtype=np.float32) / max(num_samples, 1))
    faded = audio.copy()
    faded[:num_samples] *= ramp
    faded[len(audio) - num_samples :] *= ramp[::-1]
    return faded


def with_pause(audio: Array, seconds: float) -> Array:
    return np.append(audio, np.zeros(round(seconds * VOICE_SAMPLE_RATE_HERTZ), np.float32))


def frame_levels(audio: Array) -> Array:
    """Root mean square of each frame, shape = (frames,)."""
    return np.sqrt(np.mean(audio.reshape(-1, VOICE_HOP_LENGTH) ** 2, axis=1))
