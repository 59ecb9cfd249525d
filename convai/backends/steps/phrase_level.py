"""How loud a phrase is, read off its mel before it becomes sound, and where in it somebody speaks."""

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import FFT_LENGTH
from convai.backends.steps.mel_consistency import magnitudes_like

SILENT_LEVEL = 10 ** (-50 / 20)  # what stays below throughout is no speech, and would become noise if raised
ACTIVE_RATIO = 10 ** (-25 / 20)  # frames this far below the loudest are pauses, which have no say in the level
SOUND_RATIO = 10 ** (-55 / 20)  # frames this far below it are silence; the softest consonants are above
# Kept before and after what is heard, 116 and 46 ms: the first sound of a word begins softly, and is the one misheard.
FRAMES_BEFORE, FRAMES_AFTER = 10, 4
HARMONICS = 10 ** (1.77 / 20)  # a band's mean magnitude hides its peaks; of 60 sentences, give or take 0.13 dB
WINDOW_POWER = 3 / 8  # mean of a squared Hann window


def frame_levels(mel: Array) -> Array:
    """Root mean square of the audio in each frame, estimated: float32, shape = (frames,).

    Parameters
    ----------
    mel : float32, shape = (80, frames), log-mel magnitudes
    """
    power = 2 / FFT_LENGTH * np.sum(magnitudes_like(mel) ** 2, axis=0)  # Parseval's theorem
    return HARMONICS * np.sqrt(power / (WINDOW_POWER * FFT_LENGTH))


def spoken_frames(levels: Array) -> tuple[int, int]:
    """Begin and end of what is heard, with a margin; all frames if they are silent throughout.

    Parameters
    ----------
    levels : of each frame, as `frame_levels` gives them
    """
    if levels.max() < SILENT_LEVEL:
        return 0, len(levels)
    (heard,) = np.nonzero(levels > SOUND_RATIO * levels.max())
    return max(int(heard[0]) - FRAMES_BEFORE, 0), min(int(heard[-1]) + 1 + FRAMES_AFTER, len(levels))


def gain_to(level_dbfs: float, levels: Array) -> float:
    """Factor that brings speech with these levels of its frames to one in decibels of full scale; 1 for silence."""
    active = levels[levels >= max(ACTIVE_RATIO * levels.max(), SILENT_LEVEL)]
    return 10 ** (level_dbfs / 20) / float(np.sqrt(np.mean(active**2))) if len(active) else 1.0
