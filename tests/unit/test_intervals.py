import numpy as np
import pytest

from benchmarks.quality.intervals import bootstrap_interval, rate, rate_difference, resampling_units


def nobody(count):
    return [""] * count


def test_the_interval_holds_the_true_rate_about_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        errors = rng.binomial(10, 0.2, size=100)
        interval = bootstrap_interval(rate, (errors, [10] * 100), nobody(100))
        hits += interval.low <= 20 <= interval.high
    assert hits >= 50


def test_speakers_who_differ_make_the_interval_wider_than_their_recordings_do():
    errors, speakers = [0] * 50 + [5] * 50, [f"speaker {number // 10}" for number in range(100)]
    by_speaker, by_recording = (bootstrap_interval(rate, (errors, [10] * 100), who) for who in (speakers, nobody(100)))
    assert by_speaker.value == by_recording.value == 25
    assert by_speaker.high - by_speaker.low > 2 * (by_recording.high - by_recording.low)


def test_fewer_than_five_speakers_are_not_drawn_from():
    assert list(resampling_units(["a", "a", "b", "c", "d"])) == [0, 1, 2, 3, 4]
    assert list(resampling_units(["a", "a", "b", "c", "d", "e"])) == [0, 0, 1, 2, 3, 4]


def test_a_difference_on_the_same_recordings_is_surer_than_the_rates():
    rng = np.random.default_rng(0)
    errors = rng.binomial(10, rng.uniform(0, 1, 100))
    better, words = np.maximum(errors - 1, 0), [10] * 100
    difference = bootstrap_interval(rate_difference, (errors, better, words), nobody(100))
    alone = bootstrap_interval(rate, (errors, words), nobody(100))
    assert difference.low > 0
    assert difference.high - difference.low < (alone.high - alone.low) / 3


def test_the_same_counts_give_the_same_interval():
    counts = ([1, 2, 0, 3], [4, 4, 4, 4])
    assert bootstrap_interval(rate, counts, nobody(4)) == bootstrap_interval(rate, counts, nobody(4))


def test_one_recording_has_no_bounds():
    interval = bootstrap_interval(rate, ([1], [4]), nobody(1))
    assert interval.value == pytest.approx(25)
    assert np.isnan(interval.low)
