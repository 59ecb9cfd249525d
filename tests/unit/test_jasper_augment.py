import numpy as np
import pytest

from benchmarks.quality.noise import COLOURS, coloured_noise
from convai.backends.steps.speech_features import log_mel
from convai.errors import InvalidArgument
from training.jasper.augment import (
    NOISE_TILT,
    AugmentConfig,
    add_background,
    add_clicks,
    add_echo,
    add_hum,
    add_noise,
    augment,
    change_tempo,
    vocal_tract_warp,
)


@pytest.fixture
def clip():
    return np.random.default_rng(1).normal(-8, 3, (150, 64)).astype(np.float16)


def test_the_same_generator_changes_a_clip_the_same_way(clip):
    first, again = (augment(clip, AugmentConfig(), np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, augment(clip, AugmentConfig(), np.random.default_rng(8))[:, : first.shape[1]])


def test_changed_clips_are_finite_features_even_out_of_digital_silence():
    silence = np.full((50, 64), -46.0, np.float16)
    for seed in range(30):
        features = augment(silence, AugmentConfig(), np.random.default_rng(seed))
        assert features.shape[0] == 64
        assert np.isfinite(features).all()


def test_a_faster_tempo_leaves_fewer_frames_and_the_same_ends():
    ramp = np.tile(np.arange(100, dtype=np.float32), (64, 1))
    faster = change_tempo(ramp, 1.25)
    assert faster.shape == (64, 80)
    assert faster[0, 0] == 0
    assert faster[0, -1] == 99


def test_a_shorter_vocal_tract_moves_formants_up():
    formant = np.zeros(64, np.float32)
    formant[30] = 1
    assert (vocal_tract_warp(1.1) @ formant).argmax() > 30
    assert (vocal_tract_warp(0.9) @ formant).argmax() < 30
    assert np.allclose(vocal_tract_warp(1.0), np.eye(64))


def test_an_echo_has_the_given_length_and_power():
    clap = np.zeros((64, 400), np.float32)
    clap[:, 0] = 1
    echoed = add_echo(clap, reverberation_seconds=0.5, echo_decibels=-10)
    assert echoed[0, 0] == pytest.approx(1)
    assert echoed[0, 1:].sum() == pytest.approx(0.1, rel=1e-3)
    assert echoed[0, 51] / echoed[0, 1] == pytest.approx(1e-6, rel=1e-2)


def test_noise_is_not_louder_than_given():
    speech = np.ones((64, 200), np.float32)
    noise = add_noise(speech, 20, np.random.default_rng(0)) - speech
    assert 0 < noise.mean() <= 0.011


@pytest.mark.parametrize("colour", COLOURS)
def test_the_training_covers_every_noise_colour_of_the_evaluation(colour):
    audio = 0.1 * coloured_noise(48_000, 16_000, colour, np.random.default_rng(0))
    colours = np.exp(log_mel(audio.astype(np.float32))).mean(axis=1)
    lower, upper = NOISE_TILT
    assert lower < np.log(colours[-8:].mean() / colours[:8].mean()) < upper


def test_backgrounds_have_the_given_level_and_last_throughout():
    speech = np.ones((64, 200), np.float32)
    noise, voice = (np.full((frames, 64), level, np.float16) for frames, level in ((70, 0.0), (300, -5.0)))
    added = add_background(speech, [noise, voice], 10, np.random.default_rng(0)) - speech
    assert np.allclose(added, 2 * 0.1, rtol=1e-2)


def test_clicks_are_short_and_a_hum_never_ends():
    speech = np.ones((64, 600), np.float32)
    clicks = add_clicks(speech, np.random.default_rng(3)) - speech
    hum = add_hum(speech, np.random.default_rng(3)) - speech
    assert 0 < (clicks[0] > 0).mean() < 0.5
    assert (clicks[:, clicks[0] > 0] > 0).all()
    assert 1 <= (hum[:, 0] > 0).sum() <= 4
    assert np.allclose(hum, hum[:, :1])


def test_babble_needs_other_clips(clip):
    config = AugmentConfig(babble_share=1.0, noise_share=0, click_share=0, hum_share=0, room_share=0)
    alone = augment(clip, config, np.random.default_rng(1))
    among = augment(clip, config, np.random.default_rng(1), [clip])
    assert not np.allclose(alone[:, :40], among[:, :40])


def test_a_strength_outside_zero_to_one_is_refused():
    with pytest.raises(InvalidArgument, match="--augmentation: expected 0 to 1, got 1.5"):
        AugmentConfig().weaken(1.5)


def test_at_strength_zero_only_speakers_and_tempo_vary():
    nothing = AugmentConfig().weaken(0)
    assert nothing.room_share == nothing.noise_share == nothing.babble_share == nothing.time_masks_per_second == 0
    assert nothing.frequency_mask_features == 0
    assert nothing.vocal_tract == AugmentConfig().vocal_tract
    assert AugmentConfig().weaken(1) == AugmentConfig()
