"""Noise in recordings: how much there is, and more of a stated kind and level for measuring what it costs."""

from collections.abc import Sequence

import numpy as np
import soxr

FRAME_SECONDS = 0.02
ACTIVE_DECIBELS = 30.0  # frames this far below the loudest one still belong to the speech
PAUSE_SHARE = 0.1  # of the frames, the quietest; speech has at least as many pauses
HIGHEST_DECIBELS = 60.0  # also said of digital silence between the words
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # power falls with this power of the frequency
BABBLE = "babble"
KINDS = (*COLOURS, BABBLE)
BABBLE_VOICES = 6
LOWEST_HERTZ = 50.0  # below, coloured noise gets no louder: it would be rumble that no voice competes with


def frame_powers(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean power of each whole frame of 20 ms, float64; a shorter recording is one frame."""
    length = min(len(audio), round(FRAME_SECONDS * sample_rate))
    frames = audio[: len(audio) // length * length].reshape(-1, length)
    return np.square(frames, dtype=np.float64).mean(axis=1)


def speech_power(audio: np.ndarray, sample_rate: int) -> float:
    """Mean power of the frames in which somebody speaks: those at most 30 dB below the loudest."""
    powers = frame_powers(audio, sample_rate)
    return float(powers[powers >= powers.max() * 10 ** (-ACTIVE_DECIBELS / 10)].mean())


def signal_to_noise_decibels(audio: np.ndarray, sample_rate: int) -> float:
    """Speech over noise as estimated from the recording alone, 0 to 60 dB.

    The quietest tenth of the frames is taken for noise, what the louder frames hold beyond it for speech. So noise that
    comes with the words, such as echo, counts as speech, and a clip without a pause seems noisier than it is.
    """
    powers = np.sort(frame_powers(audio, sample_rate))
    noise = powers[: max(1, round(PAUSE_SHARE * len(powers)))].mean()
    speech = max(0.0, speech_power(audio, sample_rate) - noise)
    highest = 10 ** (HIGHEST_DECIBELS / 10)
    if noise * highest <= speech:
        return HIGHEST_DECIBELS
    return float(10 * np.log10(max(1.0, speech / noise)))


def coloured_noise(samples: int, sample_rate: int, colour: str, rng: np.random.Generator) -> np.ndarray:
    """Noise with a power of 1, float64, shape = (samples,)."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / sample_rate), LOWEST_HERTZ)
    return with_unit_power(np.fft.irfft(spectrum * hertz ** (-COLOURS[colour] / 2), samples))


def babble(samples: int, voices: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Several `voices`, each of shape (its samples,), talking at once; power 1, float64, shape = (samples,)."""
    together = np.zeros(samples)
    for voice in voices:
        together += np.resize(np.roll(with_unit_power(voice), rng.integers(len(voice))), samples)
    return with_unit_power(together)


def with_unit_power(audio: np.ndarray) -> np.ndarray:
    power = np.square(audio, dtype=np.float64).mean()
    return audio / np.sqrt(power) if power else audio.astype(np.float64)


def resampled(audio: np.ndarray, from_hertz: int, to_hertz: int) -> np.ndarray:
    return audio if from_hertz == to_hertz else soxr.resample(audio, from_hertz, to_hertz)


def add_noise(audio: np.ndarray, sample_rate: int, noise: np.ndarray, decibels: float) -> np.ndarray:
    """Mix noise of power 1 into a recording.

    Parameters
    ----------
    audio, noise : shape = (samples,)
    decibels : power of the speech over that of the noise; pauses do not count as speech

    Returns
    -------
    float32, shape = (samples,), turned down as a whole where it would exceed full scale
    """
    mixed = audio + noise * np.sqrt(speech_power(audio, sample_rate) * 10 ** (-decibels / 10))
    return (mixed / max(1.0, np.abs(mixed).max())).astype(np.float32)
