"""The mel is cut and padded, and its noise grows with the bucket without changing."""

import numpy as np
import pytest

from convai.audio.voice_mel import SILENT_LOG_MEL
from convai.backends.steps.mel_padder import MelPadder, noise
from convai.generator.targets import Buckets


def mel_of(frames):
    return np.random.default_rng(0).normal(size=(80, frames)).astype(np.float32)


def make_step(**parameters):
    sizes = {"receptive_field_frames": 100, "n_group": 8}
    return MelPadder(**Buckets().parameters_of("mel_padder") | sizes | parameters)


def run(mel, length=None, seed=None, **parameters):
    length = mel.shape[1] if length is None else length
    return make_step(**parameters)(decoded_mel=mel, mel_length=np.array([length], np.int32), seed=seed)


def test_the_mel_is_exactly_the_valid_frames():
    mel = mel_of(90)
    np.testing.assert_array_equal(run(mel, length=70)["mel"], mel[:, :70])


def test_the_padded_mel_is_silent_after_the_valid_frames():
    mel = mel_of(90)
    padded = run(mel, length=70, buckets=[64, 128, 192], receptive_field_frames=20)["padded_mel"]
    assert padded.shape == (80, 128)
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(padded[:, :70], mel[:, :70])
    assert np.all(padded[:, 70:] == np.float32(SILENT_LOG_MEL))


@pytest.mark.parametrize(("frames", "bucket"), [(1, 64), (44, 64), (45, 128), (108, 128), (172, 192)])
def test_the_bucket_holds_the_mel_and_the_receptive_field_of_the_vocoder(frames, bucket):
    result = run(mel_of(frames), buckets=[64, 128, 192], receptive_field_frames=20)
    assert result["padded_mel"].shape[1] == bucket


def test_the_noise_covers_the_padded_mel():
    z = run(mel_of(10), buckets=[64], receptive_field_frames=20, n_group=32)["z"]
    assert z.shape == (32, 64 * 256 // 32)
    assert z.dtype == np.float32
    assert z.flags.c_contiguous


def test_a_longer_bucket_extends_the_noise_without_changing_it():
    np.testing.assert_array_equal(noise(7, 8, 10_000)[:, :3_000], noise(7, 8, 3_000))


def test_the_noise_is_standard_normal():
    z = noise(0, 8, 20_000)
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01


def test_the_seed_of_a_request_overrides_the_default_and_decides_the_noise():
    mel = mel_of(10)
    by_default = run(mel, default_seed=3)["z"]
    np.testing.assert_array_equal(by_default, run(mel, seed=3)["z"])
    assert not np.array_equal(by_default, run(mel, seed=4, default_seed=3)["z"])


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "7", True])
def test_a_seed_that_is_no_whole_number_in_range_is_refused(seed):
    with pytest.raises(ValueError, match=rf"seed: got {seed!r}; allowed is a whole number from 0"):
        run(mel_of(10), seed=seed)


def test_no_valid_frame_becomes_one_frame_of_silence():
    result = run(mel_of(10), length=0)
    assert result["mel"].shape == (80, 1)
    assert np.all(result["padded_mel"] == np.float32(SILENT_LOG_MEL))


@pytest.mark.parametrize("length", [-1, 11])
def test_a_length_outside_the_mel_is_refused(length):
    with pytest.raises(ValueError, match=f"got mel_length {length}; allowed is 0 to 10"):
        run(mel_of(10), length)


def test_a_mel_past_the_last_bucket_is_refused():
    with pytest.raises(ValueError, match="got 65 frames of mel.*; allowed are at most 64"):
        run(mel_of(45), buckets=[64], receptive_field_frames=20)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"buckets": [2, 2]}, "buckets"),
        ({"receptive_field_frames": -1}, "receptive_field_frames"),
        ({"n_group": 7}, "n_group"),
        ({"default_seed": -1}, "default_seed"),
        ({"padding_value": float("nan")}, "padding_value"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, field):
    with pytest.raises(ValueError, match=f"^{field}"):
        make_step(**parameters)
