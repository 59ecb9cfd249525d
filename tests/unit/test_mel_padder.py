"""The mel is cut and padded, and its noise grows with the bucket without changing."""

import numpy as np
import pytest

from convai.audio.voice_mel import SILENT_LOG_MEL
from convai.backends.steps.mel_frames import DEFAULT_SEED, make_noise
from convai.backends.steps.mel_padder import MelPadder
from convai.errors import InvalidArgument
from convai.generator.targets import Buckets


def random_mel(frames):
    return np.random.default_rng(0).normal(size=(80, frames)).astype(np.float32)


def make_step(**parameters):
    sizes = {"receptive_field_frames": 100, "n_group": 8}
    return MelPadder(**Buckets().parameters_of("mel_padder") | sizes | parameters)


def run(mel, length=None, seed=None, speed=None, **parameters):
    length = mel.shape[1] if length is None else length
    return make_step(**parameters)(decoded_mel=mel, mel_length=np.array([length], np.int32), seed=seed, speed=speed)


def test_the_valid_frames_are_kept_and_padded_with_silence():
    mel = random_mel(90)
    result = run(mel, length=70, buckets=[64, 128, 192], receptive_field_frames=20)
    padded = result["padded_mel"]
    np.testing.assert_array_equal(result["mel"], mel[:, :70])
    assert (padded.shape, padded.dtype) == ((80, 128), np.float32)
    np.testing.assert_array_equal(padded[:, :70], mel[:, :70])
    assert np.all(padded[:, 70:] == np.float32(SILENT_LOG_MEL))


@pytest.mark.parametrize(("frames", "bucket"), [(1, 64), (44, 64), (45, 128), (172, 192)])
def test_the_bucket_holds_the_mel_and_the_receptive_field_of_the_vocoder(frames, bucket):
    result = run(random_mel(frames), buckets=[64, 128, 192], receptive_field_frames=20)
    assert result["padded_mel"].shape[1] == bucket


def test_the_noise_is_standard_normal_and_a_longer_one_begins_like_a_shorter_one():
    z = make_noise(7, 8, 600)
    assert abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01
    np.testing.assert_array_equal(z[:, : 100 * 32], make_noise(7, 8, 100))


def test_the_seed_of_a_request_decides_the_noise():
    mel = random_mel(10)
    np.testing.assert_array_equal(run(mel)["z"], run(mel, seed=DEFAULT_SEED)["z"])
    assert not np.array_equal(run(mel)["z"], run(mel, seed=4)["z"])


def test_no_valid_frame_becomes_one_frame_of_silence():
    result = run(random_mel(10), length=0)
    assert result["mel"].shape == (80, 1)
    assert np.all(result["padded_mel"] == np.float32(SILENT_LOG_MEL))


@pytest.mark.parametrize(("speed", "frames"), [(0.5, 20), (0.8, 12), (1.5, 7), (2, 5)])
def test_speed_stretches_the_mel_in_time_from_its_first_frame_to_its_last(speed, frames):
    mel = np.linspace(0, 9, 10, dtype=np.float32) + np.arange(80, dtype=np.float32)[:, np.newaxis]
    result = run(mel, speed=speed)
    expected = np.linspace(0, 9, frames) + np.arange(80)[:, np.newaxis]
    np.testing.assert_allclose(result["mel"], expected, atol=1e-5)
    assert result["stretched_length"].tolist() == [frames]
    assert run(mel, length=0, speed=speed)["stretched_length"].tolist() == [0]


def test_speed_1_changes_nothing():
    mel = random_mel(90)
    for one in (None, 1, 1.0):
        result = run(mel, speed=one)
        assert np.array_equal(result["mel"], mel) and result["stretched_length"].tolist() == [90]


@pytest.mark.parametrize("wrong", [{"buckets": [2, 2]}, {"receptive_field_frames": -1}, {"n_group": 7}])
def test_a_wrong_parameter_is_named(wrong):
    with pytest.raises(InvalidArgument, match=f"^{next(iter(wrong))}: expected"):
        make_step(**wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": -1}, "mel_length: expected 0 to 10 frames, got -1"),
        ({"length": 11}, "mel_length: expected 0 to 10 frames, got 11"),
        ({"seed": -1}, "seed: expected a whole number from 0 to .*, got -1"),
        ({"seed": 2**63}, "seed: expected a whole number from 0 to .*, got 9223372036854775808"),
        ({"seed": True}, "seed: expected a whole number from 0 to .*, got True"),
        ({"seed": "7"}, "seed: expected a whole number from 0 to .*, got '7'"),
        *(
            ({"speed": speed}, "speed: expected a number from 0.5 to 2, got")
            for speed in (0.49, 2.01, np.nan, True, "1")
        ),
        ({"buckets": [64], "receptive_field_frames": 60}, "decoded_mel: expected at most 64 frames.*, got 70"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        run(random_mel(10), **arguments)
