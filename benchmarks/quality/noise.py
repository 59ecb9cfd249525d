"""Coloured noise at a stated level below the speech of a recording."""

import numpy as np

FRAME_SECONDS = 0.02
SPEECH_DECIBELS = 30.0  # frames at most this far below the loudest one belong to the speech
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # the power falls with this power of the frequency
LOWEST_HERTZ = 50.0  # the spectrum is flat below: more would be rumble that does not disturb speech


def measure_speech_power(audio: np.ndarray, sample_rate: int) -> float:
    """Return the mean power of the 20 ms frames that hold speech.

    Parameters
    ----------
    audio : float32, shape = (samples,); a recording below 20 ms is one frame
    sample_rate : Hz
    """
    length = min(len(audio), round(FRAME_SECONDS * sample_rate))
    frames = audio[: len(audio) // length * length].reshape(-1, length)
    powers = np.square(frames, dtype=np.float64).mean(axis=1)
    return float(powers[powers >= powers.max() * 10 ** (-SPEECH_DECIBELS / 10)].mean())


def coloured_noise(samples: int, sample_rate: int, colour: str, rng: np.random.Generator) -> np.ndarray:
    """Return noise with a power of 1, float64, shape = (samples,)."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / sample_rate), LOWEST_HERTZ)
    noise = np.fft.irfft(spectrum * hertz ** (-COLOURS[colour] / 2), samples)
    return noise / np.sqrt(np.square(noise).mean())


def add_noise(audio: np.ndarray, sample_rate: int, noise: np.ndarray, decibels: float) -> np.ndarray:
    """Mix noise into a recording.

    Parameters
    ----------
    audio : float32, shape = (samples,)
    sample_rate : Hz
    noise : float64, shape = (samples,), with a power of 1
    decibels : power of the speech over that of the noise; pauses do not count as speech

    Returns
    -------
    float32, shape = (samples,), scaled down as a whole if it would exceed full scale
    """
    mixed = audio + noise * np.sqrt(measure_speech_power(audio, sample_rate) * 10 ** (-decibels / 10))
    return (mixed / max(1.0, np.abs(mixed).max())).astype(np.float32)
