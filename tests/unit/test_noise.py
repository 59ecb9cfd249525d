import numpy as np
import pytest

from benchmarks.quality import noise

RATE = 16_000


def speech(pause=0.0):
    """Half-second bursts of a tone with pauses between them."""
    time = np.arange(4 * RATE) / RATE
    return np.where(time % 1 < 0.5, 0.3 * np.sin(2 * np.pi * 300 * time), pause).astype(np.float32)


@pytest.mark.parametrize("colour", noise.COLOURS)
@pytest.mark.parametrize("decibels", [5, 10, 20])
def test_the_estimate_is_what_was_added(colour, decibels):
    added = noise.coloured_noise(4 * RATE, RATE, colour, np.random.default_rng(0))
    noisy = noise.add_noise(speech(), RATE, added, decibels)
    assert noise.signal_to_noise_decibels(noisy, RATE) == pytest.approx(decibels, abs=3)


def test_pauses_make_the_speech_no_quieter():
    assert noise.speech_power(speech(), RATE) == pytest.approx(0.3**2 / 2, rel=0.05)


def test_digital_silence_between_words_is_no_noise_and_silence_throughout_neither():
    for audio in (speech(), np.zeros(RATE, np.float32)):
        assert noise.signal_to_noise_decibels(audio, RATE) == noise.HIGHEST_DECIBELS


def test_a_clip_shorter_than_a_frame_is_measured():
    assert noise.signal_to_noise_decibels(np.ones(10, np.float32), RATE) == 0


def test_colours_differ_in_how_fast_they_fall():
    def lows_over_highs(colour):
        power = np.abs(np.fft.rfft(noise.coloured_noise(RATE, RATE, colour, np.random.default_rng(0)))) ** 2
        return power[100:200].mean() / power[4000:4100].mean()

    assert lows_over_highs("white") < 2 < 10 < lows_over_highs("pink") < 100 < lows_over_highs("brown")


def test_babble_is_as_long_as_the_recording_and_as_loud_as_asked():
    voices = [speech()[:1000], 0.001 * speech(pause=0.1)]
    made = noise.babble(2 * RATE, voices, np.random.default_rng(0))
    assert made.shape == (2 * RATE,)
    assert np.mean(made**2) == pytest.approx(1)


def test_loud_noise_does_not_exceed_full_scale():
    added = noise.coloured_noise(4 * RATE, RATE, "white", np.random.default_rng(0))
    noisy = noise.add_noise(3 * speech(), RATE, added, 0)
    assert np.abs(noisy).max() == pytest.approx(1)
