"""Speech features equal NVIDIA's definition, reject bad audio and do not depend on their bucket."""

import numpy as np
import pytest
import torch
from librosa.filters import mel as mel_filterbank

from convai.backends.steps.question_audio import resample
from convai.backends.steps.speech_features import SpeechFeatures, jasper_features, log_mel, raise_noise_floor
from convai.generator.targets import Buckets


def tone(seconds=1.0, sample_rate=16_000, hertz=440.0, amplitude=0.5):
    noise = np.random.default_rng(0).normal(scale=0.01, size=round(seconds * sample_rate))
    time = np.arange(len(noise)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hertz * time) + noise).astype(np.float32)


def make_step(**parameters):
    return SpeechFeatures(**Buckets().parameters_of("speech_features") | parameters)


def run(audio, sample_rate=16_000, **parameters):
    return make_step(**parameters)(question_audio=audio, sample_rate=np.array([sample_rate], np.int32))


def nvidia_features(audio):
    """The published definition, in PyTorch: the reference for parity."""
    x = torch.from_numpy(audio).double()
    x = torch.cat((x[:1], x[1:] - 0.97 * x[:-1]))
    window = torch.hann_window(320, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(x, 512, hop_length=160, win_length=320, window=window, center=True, return_complex=True)
    filters = torch.from_numpy(mel_filterbank(sr=16_000, n_fft=512, n_mels=64, fmin=0, fmax=8_000)).double()
    features = torch.log(filters @ spectrum.abs() ** 2 + 1e-20)[:, : -(-len(audio) // 160)]
    return ((features - features.mean(1, keepdim=True)) / (features.std(1, keepdim=True) + 1e-5)).numpy()


@pytest.mark.parametrize("num_samples", [1_600, 1_601, 15_999, 16_000, 80_123])
def test_features_equal_the_definition_of_nvidia_within_1e_3(num_samples):
    audio = tone(seconds=num_samples / 16_000)
    np.testing.assert_allclose(jasper_features(audio), nvidia_features(audio), atol=1e-3)


@pytest.mark.parametrize(("num_samples", "frames"), [(1_600, 10), (1_601, 11), (16_000, 100), (480_000, 3_000)])
def test_every_hop_begun_is_a_valid_frame(num_samples, frames):
    result = run(tone(seconds=num_samples / 16_000))
    assert result["features_length"].tolist() == [frames]
    assert result["features_length"].dtype == np.int32


def test_features_are_padded_with_zeros_to_the_smallest_bucket_that_holds_them():
    features = run(tone(seconds=1.5))["features"]
    assert features.shape == (64, 192)
    assert features.dtype == np.float32
    assert np.all(features[:, 150:] == 0)
    assert np.all(features[:, :150].std(axis=1) > 0.9)


def test_the_bucket_does_not_change_the_features():
    audio = tone(seconds=0.9)
    small = run(audio)["features"]
    large = run(audio, buckets=[3_008])["features"]
    np.testing.assert_array_equal(small[:, :90], large[:, :90])


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_a_tone_where_it_was(sample_rate):
    resampled = resample(tone(sample_rate=sample_rate), sample_rate)
    spectrum = np.abs(np.fft.rfft(resampled))
    assert abs(len(resampled) - 16_000) <= 1
    assert abs(spectrum.argmax() - 440) <= 1


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 44_100, 48_000])
def test_the_shortest_and_the_longest_audio_work_at_every_sample_rate(sample_rate):
    assert run(tone(0.1, sample_rate), sample_rate)["features_length"][0] in (10, 11)
    assert run(tone(30, sample_rate), sample_rate)["features_length"][0] in (3_000, 3_001)


@pytest.mark.parametrize("amplitude", [0.0, 10 ** (-61 / 20)])
def test_silence_has_no_valid_frame(amplitude):
    result = run(np.full(16_000, amplitude, np.float32))
    assert result["features_length"].tolist() == [0]
    assert result["features"].shape == (64, 128)
    assert not result["features"].any()


def test_audio_with_a_constant_value_stays_finite():
    assert np.isfinite(run(np.full(16_000, 0.5, np.float32))["features"]).all()


def test_quiet_speech_gives_the_features_of_loud_speech():
    audio = tone()
    np.testing.assert_allclose(jasper_features(0.01 * audio), jasper_features(audio), atol=1e-3)


def words_with_pauses(background):
    """Noise that comes and goes, on a steady background of the given amplitude."""
    noise = np.random.default_rng(1).normal(size=(2, 16_000))
    loudness = np.repeat([0.1, 0, 0.1, 0], 4_000)
    return (noise[0] * loudness + noise[1] * background).astype(np.float32)


def test_with_a_noise_floor_digital_silence_between_words_looks_like_a_quiet_room():
    clean, quiet_room = words_with_pauses(0), words_with_pauses(0.0001)
    apart = np.abs(jasper_features(clean) - jasper_features(quiet_room)).mean()
    with_floor = [run(audio, noise_floor_decibels=-50)["features"] for audio in (clean, quiet_room)]
    assert np.abs(with_floor[0] - with_floor[1]).mean() < 0.1 * apart


def test_a_noise_floor_is_so_many_decibels_below_the_mean_power():
    raised = raise_noise_floor(log_mel(words_with_pauses(0)), -30)
    np.testing.assert_allclose(raised.min() - np.log(np.exp(raised).mean()), -3 * np.log(10), atol=0.01)


def test_with_a_noise_floor_quiet_speech_gives_the_features_of_loud_speech():
    audio = words_with_pauses(0.0001)
    quiet, loud = (run(gain * audio, noise_floor_decibels=-50)["features"] for gain in (0.05, 1))
    np.testing.assert_allclose(quiet, loud, atol=1e-3)


def test_the_input_is_not_changed():
    audio = tone()
    before = audio.copy()
    log_mel(audio)
    np.testing.assert_array_equal(audio, before)


def test_nan_and_infinite_samples_are_counted():
    audio = tone()
    audio[:3] = np.nan
    audio[7:9] = -np.inf
    with pytest.raises(ValueError, match="got 3 NaN and 2 infinite samples; allowed are finite samples"):
        run(audio)


@pytest.mark.parametrize("seconds", [0.0, 0.099, 30.001])
def test_audio_too_short_or_too_long_is_refused_with_its_length(seconds):
    with pytest.raises(ValueError, match=rf"got {seconds:.3f} s of audio .*allowed is 0.1 to 30.0 s"):
        run(tone(seconds))


def test_audio_one_sample_too_short_is_told_how_many_samples_it_needs():
    with pytest.raises(ValueError, match=r"799 samples at 8000 Hz.*allowed is .*\(800 to 240000 samples\)"):
        run(tone()[:799], 8_000)


@pytest.mark.parametrize("sample_rate", [-1, 0, 7_999, 48_001])
def test_a_sample_rate_out_of_range_is_refused(sample_rate):
    with pytest.raises(ValueError, match=rf"got a sample rate of {sample_rate} Hz; allowed is 8000 to 48000 Hz"):
        run(tone(), sample_rate)


def test_audio_at_the_scale_of_16_bit_integers_is_refused_with_a_hint():
    with pytest.raises(ValueError, match="allowed is -1 to 1 .*divided by 32768"):
        run(tone() * 32_768)


def test_a_small_overshoot_of_full_scale_is_let_through():
    assert run(tone(amplitude=1.02))["features_length"][0] == 100


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"got audio of shape \[2, 16000\]"):
        run(np.stack((tone(), tone())))


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"buckets": [128, 64]}, "buckets"),
        ({"buckets": [64]}, "max_seconds"),
        ({"min_seconds": 0.0}, "min_seconds"),
        ({"silence_floor_dbfs": 0.0}, "silence_floor_dbfs"),
        ({"noise_floor_decibels": 3.0}, "noise_floor_decibels"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, field):
    with pytest.raises(ValueError, match=field):
        make_step(**parameters)
