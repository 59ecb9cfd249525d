import numpy as np
import pytest

from benchmarks.quality.noise import COLOURS, add_noise, coloured_noise, measure_speech_power

RATE = 16_000


def speech():
    """Half-second bursts of a tone with pauses between them."""
    time = np.arange(4 * RATE) / RATE
    return np.where(time % 1 < 0.5, 0.3 * np.sin(2 * np.pi * 300 * time), 0.0).astype(np.float32)


@pytest.mark.parametrize("colour", COLOURS)
def test_noise_is_added_so_many_decibels_below_the_speech(colour):
    added = coloured_noise(4 * RATE, RATE, colour, np.random.default_rng(0))
    noise = add_noise(speech(), RATE, added, 20) - speech()
    ratio = measure_speech_power(speech(), RATE) / np.mean(noise**2)
    assert 10 * np.log10(ratio) == pytest.approx(20, abs=0.1)
