import numpy as np
import pytest

from convai.errors import InvalidArgument
from training.jasper.augment import AugmentConfig, augment, change_tempo


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


def test_a_strength_outside_zero_to_one_is_refused():
    with pytest.raises(InvalidArgument, match="--augmentation: expected 0 to 1, got 1.5"):
        AugmentConfig().weaken(1.5)


def test_at_strength_zero_only_speakers_and_tempo_vary():
    nothing = AugmentConfig().weaken(0)
    assert nothing.room_share == nothing.noise_share == nothing.babble_share == nothing.time_masks_per_second == 0
    assert nothing.frequency_mask_features == 0
    assert nothing.vocal_tract == AugmentConfig().vocal_tract
    assert AugmentConfig().weaken(1) == AugmentConfig()
