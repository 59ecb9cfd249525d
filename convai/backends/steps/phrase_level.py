"""Estimates from the mel, before synthesis, the level of a phrase and the frames that have speech."""

import numpy as np

from convai.arrays import Array
from convai.audio.voice_mel import FFT_LENGTH
from convai.backends.steps.post_filters import magnitudes_like

SILENT_LEVEL = 10 ** (-50 / 20)  # a phrase that is always below it has no speech; raised, it would be noise
ACTIVE_RATIO = 10 ** (-25 / 20)  # frames this far below the loudest are pauses, which do not count for the level
SOUND_RATIO = 10 ** (-55 / 20)  # frames this far below the loudest are silent; the softest consonants are above
# Kept before and after the speech, 116 and 46 ms: the first sound of a word begins softly and is misheard most.
FRAMES_BEFORE, FRAMES_AFTER = 10, 4
# A band's mean magnitude underestimates a voice, whose energy is in the peaks of its harmonics; measured on 60
# sentences, with a standard deviation of 0.13 dB.
HARMONICS = 10 ** (1.77 / 20)
WINDOW_POWER = 3 / 8  # mean of a squared Hann window


def estimate_levels(mel: Array) -> Array:
    """Estimate the root mean square of the audio in each frame: float32, shape = (frames,).

    Parameters
    ----------
    mel : float32, shape = (80, frames), log-mel magnitudes
    """
    power = 2 / FFT_LENGTH * np.sum(magnitudes_like(mel) ** 2, axis=0)  # Parseval's theorem
    return HARMONICS * np.sqrt(power / (WINDOW_POWER * FFT_LENGTH))


def find_speech(levels: Array) -> tuple[int, int]:
    """Find begin and end of the speech, with a margin; all frames if there is none.

    Parameters
    ----------
    levels : of each frame, from `estimate_levels`
    """
    if levels.max() < SILENT_LEVEL:
        return 0, len(levels)
    (audible,) = np.nonzero(levels > SOUND_RATIO * levels.max())
    return max(int(audible[0]) - FRAMES_BEFORE, 0), min(int(audible[-1]) + 1 + FRAMES_AFTER, len(levels))


def compute_gain(level_dbfs: float, levels: Array) -> float:
    """Compute the factor that brings speech with these frame levels to a level in dBFS; 1 for silence."""
    active = levels[levels >= max(ACTIVE_RATIO * levels.max(), SILENT_LEVEL)]
    return 10 ** (level_dbfs / 20) / float(np.sqrt(np.mean(active**2))) if len(active) else 1.0
