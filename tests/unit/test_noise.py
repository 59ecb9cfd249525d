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


def test_colours_differ_in_how_fast_they_fall():
    def compute_slope(colour):
        power = np.abs(np.fft.rfft(coloured_noise(RATE, RATE, colour, np.random.default_rng(0)))) ** 2
        return power[100:200].mean() / power[4000:4100].mean()

    assert compute_slope("white") < 2 < 10 < compute_slope("pink") < 100 < compute_slope("brown")


def test_loud_noise_does_not_exceed_full_scale():
    added = coloured_noise(4 * RATE, RATE, "white", np.random.default_rng(0))
    assert np.abs(add_noise(3 * speech(), RATE, added, 0)).max() == pytest.approx(1)
